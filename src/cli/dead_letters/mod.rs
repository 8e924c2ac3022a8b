//! `nunchi dead-letters list | show | replay`: the records that could not be classified, why, and their redrive.

use super::color::push_harmless;
use super::exit::UsageError;
use super::replay::{Moment, grouped, tell_zone, time, zone};
use super::settings::Settings;
use super::signals::{interrupted, stop_on_signals};
use crate::cli::exit::ExitStatus;
use crate::cli::printer::{err, errln, outln, write_bytes};
use crate::config::{Config, Flag, Log};
use crate::dead_letters::{DeadLetterRecord, DeadLetterTopic, RedriveSummary, Selection};
use crate::record::DeadLetterClass;
use crate::stop::Stop;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

/// Flags of `nunchi dead-letters`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nunchi dead-letters list --class missing_text
  nunchi dead-letters show 0/17
  nunchi dead-letters replay --class missing_text --dry-run
  nunchi dead-letters replay --class missing_text      after the fix; repeated runs send each record once")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List dead letters: error, source, and whether they were redriven
    List(ListArgs),
    /// Show one dead letter, with the original record where its value did not fit
    Show(ShowArgs),
    /// Redrive dead letters to the topic and partition of their source, each once
    Replay(ReplayArgs),
}

/// Flags of all three commands.
#[derive(Debug, clap::Args)]
struct Common {
    /// The topic of dead letters [setting: dead_letters.topic]
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// JSON, one object a line
    #[arg(long)]
    json: bool,
    /// Bootstrap brokers [setting: kafka.brokers]
    #[arg(long, value_name = "HOST:PORT,…")]
    brokers: Option<String>,
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any other setting; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

/// Which dead letters.
#[derive(Debug, clap::Args)]
struct ChoiceArgs {
    /// Only these classes: invalid_utf8, invalid_json, missing_text, text_not_string, oversize
    #[arg(long, value_name = "CLASS,…", value_delimiter = ',', value_parser = class)]
    class: Vec<String>,
    /// Only dead letters whose comment has this timestamp or a later one
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Moment>,
    /// Only dead letters whose comment has an earlier timestamp
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Moment>,
    /// The time zone of --from and --to where they have no offset
    #[arg(long, value_name = "NAME", default_value = "UTC", value_parser = zone)]
    time_zone: TimeZone,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Print at most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Partition and offset in the topic of dead letters, as `list` prints them
    #[arg(value_name = "PARTITION/OFFSET", value_parser = place)]
    place: (i32, i64),
    /// Only the original bytes, to standard output
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct ReplayArgs {
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Only these dead letters: partition and offset, as `list` prints them
    #[arg(long, value_name = "PARTITION/OFFSET,…", value_delimiter = ',', value_parser = place)]
    only: Vec<(i32, i64)>,
    /// Send them to this topic [default: each to the topic and partition of its source]
    #[arg(long, value_name = "TOPIC")]
    to_topic: Option<String>,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

fn class(text: &str) -> Result<String, String> {
    let names = DeadLetterClass::ALL.map(DeadLetterClass::name);
    match names.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("one of {}", names.join(", "))),
    }
}

fn place(text: &str) -> Result<(i32, i64), String> {
    let read = || {
        let (rest, offset) = text.rsplit_once('/')?;
        let partition = rest.rsplit('/').next()?;
        let (partition, offset): (i32, i64) = (partition.parse().ok()?, offset.parse().ok()?);
        (partition >= 0 && offset >= 0).then_some((partition, offset))
    };
    read().ok_or_else(|| "PARTITION/OFFSET, such as 0/17".to_owned())
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    match &args.command {
        Command::List(args) => list(args),
        Command::Show(args) => show(args),
        Command::Replay(args) => replay(args),
    }
}

fn open(common: &Common) -> anyhow::Result<(Config, DeadLetterTopic)> {
    let given =
        [("--brokers", "kafka.brokers", &common.brokers), ("--topic", "dead_letters.topic", &common.topic)];
    let given = given.into_iter().filter_map(|(flag, key, value)| Some(Flag::new(flag, key, value.clone()?)));
    let flags: Vec<Flag> = common.set.iter().map(|assignment| Flag::set(assignment)).chain(given).collect();
    let mut config = Settings::load(common.config.as_deref(), &flags)?.into_config();
    if config.log.level == Log::default().level {
        "warn".clone_into(&mut config.log.level);
    }
    crate::telemetry::init_logs(&config.log)?;
    let dead_letters = DeadLetterTopic::open(&config)?;
    Ok((config, dead_letters))
}

fn choice(args: &ChoiceArgs, only: &[(i32, i64)]) -> Result<Selection, UsageError> {
    tell_zone([args.from, args.to], &args.time_zone);
    let [from, to] = [args.from, args.to].map(|moment| moment.map(|moment| moment.at(&args.time_zone)));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(UsageError::new(format!("--from {from} must be before --to {to}")));
    }
    Ok(Selection {
        classes: args.class.iter().cloned().collect(),
        places: only.iter().copied().collect(),
        from_ms: from.map(Timestamp::as_millisecond),
        to_ms: to.map(Timestamp::as_millisecond),
    })
}

fn list(args: &ListArgs) -> anyhow::Result<ExitStatus> {
    let choice = choice(&args.choice, &[])?;
    let (_, dead_letters) = open(&args.common)?;
    let (mut classes, mut sent, mut all) = (BTreeMap::<String, u64>::new(), 0u64, 0u64);
    dead_letters.each(&choice, |dead_letter| {
        all += 1;
        sent += u64::from(dead_letter.sent);
        *classes.entry(harmless(dead_letter.class())).or_default() += 1;
        if args.limit.is_none_or(|limit| all <= limit) {
            let line = if args.common.json { object(dead_letter).to_string() } else { line(dead_letter) };
            outln!("{line}");
        }
    })?;
    if !args.common.json {
        let classes: Vec<String> =
            classes.iter().map(|(class, count)| format!("{} {class}", grouped(*count))).collect();
        let of = if classes.is_empty() { String::new() } else { format!(": {}", classes.join(", ")) };
        errln!("{} dead letters{of}; {} of them redriven", grouped(all), grouped(sent));
    }
    Ok(ExitStatus::Done)
}

/// A dead letter in one line.
fn line(dead_letter: &DeadLetterRecord) -> String {
    format!(
        "{}/{}\t{}\t{}\t{}\t{}{}",
        dead_letter.at.partition,
        dead_letter.at.offset,
        moment(dead_letter).unwrap_or_else(|| "-".to_owned()),
        harmless(dead_letter.class()),
        dead_letter.source().map_or_else(|| "-".to_owned(), |source| source.to_string()),
        harmless(dead_letter.error()),
        if dead_letter.sent { "\t(redriven)" } else { "" },
    )
}

/// The text of a header, which anybody may have written, fit for a terminal.
fn harmless(text: &str) -> String {
    let mut out = String::new();
    push_harmless(text, &mut out);
    out
}

fn moment(dead_letter: &DeadLetterRecord) -> Option<String> {
    Some(Timestamp::from_millisecond(dead_letter.timestamp_ms?).ok()?.to_string())
}

/// Text as it is, other bytes in base64 under another name.
fn put_bytes(object: &mut Map<String, Value>, name: &str, bytes: Option<&[u8]>) {
    match bytes.map(std::str::from_utf8) {
        None => object.insert(name.to_owned(), Value::Null),
        Some(Ok(text)) => object.insert(name.to_owned(), json!(text)),
        Some(Err(_)) => {
            object.insert(format!("{name}_base64"), json!(BASE64.encode(bytes.unwrap_or_default())))
        }
    };
}

fn object(dead_letter: &DeadLetterRecord) -> Value {
    let mut object = Map::new();
    object
        .insert("place".to_owned(), json!(format!("{}/{}", dead_letter.at.partition, dead_letter.at.offset)));
    object.insert("timestamp".to_owned(), json!(moment(dead_letter)));
    object.insert("class".to_owned(), json!(dead_letter.class()));
    object.insert("error".to_owned(), json!(dead_letter.error()));
    object.insert("source".to_owned(), json!(dead_letter.source().map(|source| source.to_string())));
    let size = dead_letter.header("nunchi-size").and_then(|size| size.parse().ok());
    object.insert("size".to_owned(), json!(size.unwrap_or(dead_letter.value.len())));
    object.insert("replay".to_owned(), json!(dead_letter.header("nunchi-replay")));
    object.insert("sent".to_owned(), json!(dead_letter.sent));
    put_bytes(&mut object, "key", dead_letter.key.as_deref());
    Value::Object(object)
}

fn show(args: &ShowArgs) -> anyhow::Result<ExitStatus> {
    let (_, dead_letters) = open(&args.common)?;
    let dead_letter = dead_letters.at(args.place.0, args.place.1)?;
    let original = match dead_letter.is_described() {
        true => dead_letters.original(&dead_letter).map(Some),
        false => Ok(None),
    };
    let value = match &original {
        Ok(Some(original)) => &original.value,
        Ok(None) | Err(_) => &dead_letter.value,
    };
    if args.raw {
        original.as_ref().map_err(|error| UsageError::new(error.to_string()))?;
        write_bytes(value);
        return Ok(ExitStatus::Done);
    }
    if args.common.json {
        let mut shown = object(&dead_letter);
        let Value::Object(object) = &mut shown else { unreachable!("a dead letter is an object") };
        let headers: Vec<Value> = dead_letter
            .headers
            .iter()
            .map(|(name, value)| {
                let mut header = Map::from_iter([("name".to_owned(), json!(String::from_utf8_lossy(name)))]);
                put_bytes(&mut header, "value", value.as_deref());
                Value::Object(header)
            })
            .collect();
        object.insert("headers".to_owned(), json!(headers));
        put_bytes(object, "value", Some(value));
        if let Err(error) = &original {
            object.insert("lost".to_owned(), json!(error.to_string()));
        }
        outln!("{shown}");
        return Ok(ExitStatus::Done);
    }
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => harmless(text),
        Err(_) => format!("{} bytes, not UTF-8: {}", bytes.len(), bytes.escape_ascii()),
    };
    outln!("{}", line(&dead_letter));
    if let Some(key) = &dead_letter.key {
        outln!("key\t{}", text(key));
    }
    for (name, value) in &dead_letter.headers {
        let value = value.as_deref().map_or_else(|| "(null)".to_owned(), text);
        outln!("{}\t{value}", text(name));
    }
    match &original {
        Ok(Some(_)) => outln!("the original record, read from its source:"),
        Ok(None) => {}
        Err(error) => {
            outln!("the value did not fit into the dead letter, and the original cannot be read: {error}")
        }
    }
    outln!("\n{}", text(value));
    Ok(ExitStatus::Done)
}

fn replay(args: &ReplayArgs) -> anyhow::Result<ExitStatus> {
    let choice = choice(&args.choice, &args.only)?;
    let (config, dead_letters) = open(&args.common)?;
    if args.to_topic.as_ref() == Some(&config.dead_letters.topic) {
        let message = format!(
            "--to-topic {} is the topic of dead letters itself; name another topic",
            config.dead_letters.topic
        );
        return Err(UsageError::new(message).into());
    }
    let stop = Stop::new();
    stop_on_signals(&stop)?;
    let done = if args.dry_run {
        dead_letters.dry_run(&choice)?
    } else {
        let shows = !args.common.json && io::stderr().is_terminal();
        dead_letters.redrive(&choice, args.to_topic.as_deref(), &stop, |sent| {
            if shows {
                err!("\r{} redriven", grouped(sent));
            }
        })?
    };

    print_summary(&done, args);
    Ok(match (done.stopped, done.refused.is_empty()) {
        (true, _) => interrupted(),
        (false, true) => ExitStatus::Done,
        (false, false) => ExitStatus::Failed,
    })
}

fn print_summary(done: &RedriveSummary, args: &ReplayArgs) {
    if args.common.json {
        let mut object = json!(done);
        object["dry_run"] = json!(args.dry_run);
        outln!("{object}");
        return;
    }
    let verb = if args.dry_run { "would be redriven" } else { "redriven" };
    errln!("\r{} {verb}; {} were redriven before", grouped(done.sent), grouped(done.before));
    for lost in &done.lost {
        errln!("not redriven: {lost}");
    }
    for refused in &done.refused {
        errln!("not redriven: {refused}");
    }
    if !done.refused.is_empty() {
        errln!("nunchi: {} dead letters could not be delivered", grouped(done.refused.len() as u64));
    }
    if done.stopped {
        errln!("stopped before the end; run the same command to continue");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::Position;

    #[test]
    fn no_header_steers_the_terminal() {
        let header = |name: &str| (name.as_bytes().to_vec(), Some(b"\x1b[2J\x07".to_vec()));
        let letter = DeadLetterRecord {
            at: Position { topic: "dead".to_owned(), partition: 0, offset: 17 },
            timestamp_ms: Some(0),
            key: None,
            value: Vec::new(),
            headers: ["nunchi-error-class", "nunchi-error", "nunchi-source"].map(header).to_vec(),
            sent: false,
        };
        assert_eq!(line(&letter), "0/17\t1970-01-01T00:00:00Z\t [2J \t-\t [2J ");
    }
}

//! Comments a CPU second of the tokenizer:
//! `cargo bench --bench tokenizers -- [--save FOLDER] [--import FILE]`.
//!
//! Trains 16,000 pieces on the reviews in `$NUNCHI_DATA` (default `../shared/data`), or takes a sentencepiece model or
//! `tokenizer.json` over with `--import`, then cuts shopping_dev and movie_test into pieces, five rounds each, and prints
//! one JSON object a line: the median round and the spread. `--save` writes the texts and the token ids for
//! `benches/peers/tokenizer_peers.py`.

use flate2::read::MultiGzDecoder;
use nunchi_text::import::import;
use nunchi_text::{Scratch, Tokenizer, train};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

fn column(folder: &Path, name: &str) -> Vec<String> {
    let file = std::fs::File::open(folder.join(format!("{name}.tsv.gz"))).expect("the reviews are readable");
    let mut all = String::new();
    MultiGzDecoder::new(file).read_to_string(&mut all).expect("the reviews are gzip of UTF-8");
    let mut lines = all.lines();
    let header = lines.next().expect("a header");
    let at = header.split('\t').position(|name| name == "text").expect("a column `text`");
    lines.filter_map(|line| line.split('\t').nth(at)).map(str::to_owned).collect()
}

/// Seconds that this thread has computed: what others do on the core does not count.
fn cpu_seconds() -> f64 {
    let stat =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with scheduler statistics");
    let nanoseconds = stat.split(' ').next().and_then(|field| field.parse::<u64>().ok());
    nanoseconds.expect("the first field is a number") as f64 / 1e9
}

fn is_byte(tokenizer: &Tokenizer, id: u32) -> bool {
    tokenizer.piece(id).is_some_and(|piece| piece.len() == 6 && piece.starts_with("<0x"))
}

fn measure(tokenizer: &Tokenizer, name: &str, texts: &[String]) {
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    let (mut tokens, mut unknown, mut spelled) = (0, 0, 0);
    // The scheduler counts in steps of some milliseconds: a round must take many of them.
    let repeats = 200_000 / texts.len() + 1;
    let mut seconds: Vec<f64> = (0..6)
        .map(|_| {
            (tokens, unknown, spelled) = (0, 0, 0);
            let begin = cpu_seconds();
            for text in texts.iter().cycle().take(repeats * texts.len()) {
                out.clear();
                let encoded = tokenizer.encode(text, usize::MAX, &mut scratch, &mut out);
                tokens += encoded.tokens;
                unknown += encoded.unknown;
            }
            (tokens, unknown) = (tokens / repeats, unknown / repeats);
            let elapsed = (cpu_seconds() - begin) / repeats as f64;
            for text in texts {
                out.clear();
                tokenizer.encode(text, usize::MAX, &mut scratch, &mut out);
                spelled += out.iter().filter(|&&id| is_byte(tokenizer, id)).count();
            }
            elapsed
        })
        .skip(1)
        .collect();
    seconds.sort_by(f64::total_cmp);
    let count = texts.len() as f64;
    println!(
        "{}",
        serde_json::json!({
            "tokenizer": option("--import").map_or("nunchi", |_| "nunchi, imported"), "data": name, "comments_per_s": (count / seconds[2]).round(),
            "spread": ((seconds[4] - seconds[0]) / seconds[2] * 1e3).round() / 1e3,
            "tokens_per_comment": (tokens as f64 / count * 100.0).round() / 100.0,
            "unknown": unknown as f64 / tokens as f64, "bytes": spelled as f64 / tokens as f64,
        })
    );
}

fn main() {
    let data = std::env::var_os("NUNCHI_DATA").map_or_else(|| "../shared/data".into(), PathBuf::from);
    if !data.join("shopping_dev.tsv.gz").exists() {
        eprintln!("skipped: no reviews in {}; set NUNCHI_DATA", data.display());
        return;
    }
    let mut training = Vec::new();
    for name in ["shopping_train", "shopping_unlabelled", "steam_train", "movie_train"] {
        training.extend(column(&data, name));
    }
    let tests = ["shopping_dev", "movie_test"].map(|name| (name, column(&data, name)));
    let begin = Instant::now();
    let tokenizer = match option("--import") {
        Some(file) => import(&std::fs::read(file).expect("readable"), None).expect("a unigram tokenizer"),
        None => train(&training, 16_000).expect("the reviews suffice"),
    };
    eprintln!(
        "{} pieces after {:.1?} of {} comments",
        tokenizer.vocabulary(),
        begin.elapsed(),
        training.len()
    );
    for (name, texts) in &tests {
        measure(&tokenizer, name, texts);
    }
    if let Some(folder) = option("--save") {
        let folder = Path::new(&folder);
        std::fs::create_dir_all(folder).expect("the folder can be made");
        for (name, texts) in tests.into_iter().chain([("training", training)]) {
            std::fs::write(folder.join(name), texts.join("\n")).expect("writable");
            std::fs::write(folder.join(format!("{name}.ids")), ids(&tokenizer, &texts)).expect("writable");
        }
    }
}

/// What follows `name` on the command line.
fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

/// The ids of each text, a line each.
fn ids(tokenizer: &Tokenizer, texts: &[String]) -> String {
    let (mut scratch, mut out, mut lines) = (Scratch::default(), Vec::new(), String::new());
    for text in texts {
        out.clear();
        tokenizer.encode(text, usize::MAX, &mut scratch, &mut out);
        let line: Vec<String> = out.iter().map(u32::to_string).collect();
        lines += &line.join(" ");
        lines.push('\n');
    }
    lines
}

//! The list of settings: every name, and what is allowed there, in words and as a check.

use super::errors::Origins;
use super::{Config, ConfigErrors, Origin, Token};
use nunchi_text::excerpt;

/// Sections of `[kafka]` that hold librdkafka's own names.
pub(super) const PROPERTY_SECTIONS: [&str; 3] = ["properties", "consumer", "producer"];

/// One setting.
pub(super) struct Setting {
    /// `section.key`.
    pub key: &'static str,
    /// Completes "must be …".
    pub allowed: &'static str,
    /// Whether the value, which has the right type, is in range.
    valid: fn(&Config) -> bool,
}

const fn setting(key: &'static str, allowed: &'static str, valid: fn(&Config) -> bool) -> Setting {
    Setting { key, allowed, valid }
}

/// Every setting, in the order of `config/nunchi.toml`. A test compares it with [`Config`].
pub(super) const SETTINGS: &[Setting] = &[
    setting("kafka.brokers", "a string HOST:PORT, or several with commas between", |c| {
        brokers(&c.kafka.brokers)
    }),
    setting("kafka.group", MEMBER, |c| member(&c.kafka.group)),
    setting("kafka.delivery", "\"exactly_once\" or \"at_least_once\"", |_| true),
    setting("kafka.instance", MEMBER, |c| c.kafka.instance.as_deref().is_none_or(member)),
    setting("input.topic", TOPIC, |c| topic(&c.input.topic)),
    setting("input.format", "\"json\", \"raw_json\" or \"text\"", |_| true),
    setting("input.max_bytes", "a whole number from 1 to 1,000,000,000", |c| {
        (1..=1_000_000_000).contains(&c.input.max_bytes)
    }),
    setting("input.start", "\"earliest\" or \"latest\"", |_| true),
    setting("input.on_corrupt", "\"stop\" or \"skip\"", |_| true),
    setting("input.beyond_end", "\"fail\" or \"end\"", |_| true),
    setting("input.text_field", TEXT_FIELDS, |c| field_names(&c.input.text_field.0)),
    setting("input.id_field", FIELD, |c| !c.input.id_field.is_empty()),
    setting("input.rating_field", FIELD, |c| !c.input.rating_field.is_empty()),
    setting("input.product_id_field", FIELD, |c| !c.input.product_id_field.is_empty()),
    setting("output.topic", TOPIC, |c| topic(&c.output.topic)),
    setting("output.echo", "a list of field names, such as [\"product_id\"]", |c| {
        c.output.echo.iter().all(|field| !field.is_empty())
    }),
    setting("output.sentences", "true or false", |_| true),
    setting("dead_letters.topic", TOPIC, |c| topic(&c.dead_letters.topic)),
    setting("dead_letters.breaker_share", "a number above 0 and at most 1 (1 never trips)", |c| {
        c.dead_letters.breaker_share > 0.0 && c.dead_letters.breaker_share <= 1.0
    }),
    setting("dead_letters.breaker_window", "a whole number from 1 to 1,000,000", |c| {
        (1..=1_000_000).contains(&c.dead_letters.breaker_window)
    }),
    setting("dead_letters.breaker", "\"halt\" or \"exit\"", |_| true),
    setting("worker.workers", "a whole number from 0 (one a core) to 256", |c| c.worker.workers <= 256),
    setting("worker.batch_records", "a whole number from 1 to 1,000,000", |c| {
        (1..=1_000_000).contains(&c.worker.batch_records)
    }),
    setting("worker.batch_bytes", "a whole number from 1024 to 1,073,741,824", |c| {
        (1024..=1 << 30).contains(&c.worker.batch_bytes)
    }),
    setting("worker.poll_ms", "a whole number from 1 to 10,000", |c| {
        (1..=10_000).contains(&c.worker.poll_ms)
    }),
    setting("worker.linger_ms", "a whole number from 0 to 5,000", |c| c.worker.linger_ms <= 5_000),
    setting("worker.stall_seconds", "a whole number from 1 to 86,400", |c| {
        (1..=86_400).contains(&c.worker.stall_seconds)
    }),
    setting("worker.stop_seconds", "a whole number from 1 to 3,600", |c| {
        (1..=3_600).contains(&c.worker.stop_seconds)
    }),
    setting("engine.kernel", "a kernel's name, such as \"avx2\"", |c| {
        c.engine.kernel.as_deref().is_none_or(|kernel| !kernel.is_empty())
    }),
    setting(
        "model.path",
        "a model file that exists, or with `registry.url` a VERSION, an alias such as v7, or current",
        |c| {
            c.model.path.as_ref().is_none_or(|path| {
                path.is_file() || c.registry.url.is_some() && path.to_str().is_some_and(is_version_name)
            })
        },
    ),
    setting("decision.precision", "a share from 0.5 to 0.999, such as 0.97", |c| {
        c.decision.precision.is_none_or(|precision| (0.5..=0.999).contains(&precision))
    }),
    setting("decision.band", "two scores from 0 to 1 of which the first is not larger: [0.2, 0.8]", |c| {
        c.decision.band.is_none_or(|[low, high]| 0.0 <= low && low <= high && high <= 1.0)
    }),
    setting("decision.review_topic", TOPIC, |c| c.decision.review_topic.as_deref().is_none_or(topic)),
    setting("decision.review_share", BAND, |c| (0.0..=1.0).contains(&c.decision.review_share)),
    setting(
        "registry.url",
        "a folder, file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX",
        |c| c.registry.url.as_deref().is_none_or(store),
    ),
    setting("registry.interval", "a number of seconds from 0.05 to 86,400", |c| {
        (0.05..=86_400.0).contains(&c.registry.interval)
    }),
    setting("registry.watch_seconds", "a number of seconds from 0 (no canary phase) to 86,400", |c| {
        (0.0..=86_400.0).contains(&c.registry.watch_seconds)
    }),
    setting("registry.watch_share", SHARE, |c| share(c.registry.watch_share)),
    setting("registry.watch_comments", "a whole number from 1 to 1,000,000,000", |c| {
        (1..=1_000_000_000).contains(&c.registry.watch_comments)
    }),
    setting("registry.least_agreement", BAND, |c| (0.0..=1.0).contains(&c.registry.least_agreement)),
    setting("registry.label_band", BAND, |c| (0.0..=1.0).contains(&c.registry.label_band)),
    setting("registry.unknown_band", BAND, |c| (0.0..=1.0).contains(&c.registry.unknown_band)),
    setting("registry.error_band", BAND, |c| (0.0..=1.0).contains(&c.registry.error_band)),
    setting("registry.shadow", "a VERSION or an alias such as v7", |c| {
        c.registry.shadow.as_deref().is_none_or(|name| name != "current" && is_version_name(name))
    }),
    setting("registry.shadow_share", SHARE, |c| share(c.registry.shadow_share)),
    setting("replay.topic", TOPIC, |c| topic(&c.replay.topic)),
    setting("replay.live_lag_records", "a whole number from 0", |c| c.replay.live_lag_records >= 0),
    setting("http.address", "HOST:PORT, such as \"127.0.0.1:9600\"; port 0 takes a free one", |c| {
        host_and_port(&c.http.address, 0)
    }),
    setting("http.insecure", "true or false", |_| true),
    setting("http.hosts", "a list of host names without ports, such as [\"nunchi\"]", |c| {
        c.http.hosts.iter().all(|name| host(name) && !name.contains(':'))
    }),
    setting("http.tls_certificate", "the path of a file of PEM certificates, the server's own first", |_| {
        true
    }),
    setting("http.tls_key", "the path of a file with the certificate's key (PEM)", |_| true),
    setting(
        "http.tokens",
        "a list of tables with different `name`s, `role` (read, classify, operate or review) and `token` ({ env = \"NAME\" } or \
         { file = \"PATH\" })",
        |c| tokens(&c.http.tokens),
    ),
    setting("log.level", super::LOG_LEVELS, |c| c.log.filter().is_some()),
    setting("log.format", "\"text\" or \"json\"", |_| true),
];

const MEMBER: &str =
    "a string of 1 to 200 characters without spaces and `/`, which separates the parts of transactional ids";
const TOPIC: &str = "a topic's name: 1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`";
const SHARE: &str = "a share above 0 and at most 1";
const BAND: &str = "a share from 0 to 1";
const TEXT_FIELDS: &str = "the name or the path of a field, such as \"payload.after.text\", or a list of different ones, whose texts are joined";
const FIELD: &str = "the name of a field of the JSON object";

/// Settings that were removed or renamed, with what to do instead.
const RETIRED: [(&str, &str); 3] = [
    ("worker.turn_records", "`worker.turn_records` is now `worker.batch_records`"),
    ("worker.turn_bytes", "`worker.turn_bytes` is now `worker.batch_bytes`"),
    ("input.created_at_field", "`input.created_at_field` was removed: nothing read it"),
];

/// Characters of a name or a value in a message.
const MAX_SHOWN: usize = 100;

/// The setting of that name.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The message for a setting that does not exist.
pub(super) fn unknown(key: &str) -> String {
    if let Some((_, message)) = RETIRED.iter().find(|(retired, _)| *retired == key) {
        return (*message).to_owned();
    }
    let section = key.split_once('.').map_or("", |(section, _)| section);
    let key = excerpt(key, MAX_SHOWN);
    let nearest = SETTINGS
        .iter()
        .map(|setting| (strsim::damerau_levenshtein(setting.key, &key), setting.key))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map_or_else(String::new, |(_, nearest)| format!(" (did you mean `{nearest}`?)"));
    let in_section: Vec<&str> =
        SETTINGS.iter().filter_map(|setting| setting.key.strip_prefix(section)?.strip_prefix('.')).collect();
    if in_section.is_empty() {
        let mut sections: Vec<&str> =
            SETTINGS.iter().filter_map(|setting| setting.key.split('.').next()).collect();
        sections.dedup();
        return format!("there is no setting `{key}`{nearest}; the sections are {}", sections.join(", "));
    }
    let properties = if section == "kafka" { ", properties, consumer, producer" } else { "" };
    format!("there is no setting `{key}`{nearest}; [{section}] has {}{properties}", in_section.join(", "))
}

/// Checks every value's range, and that topics differ.
pub(super) fn check(config: &Config, origins: &Origins, errors: &mut ConfigErrors) {
    let origin = |key: &str| origins.get(key).cloned().unwrap_or(Origin::Default);
    for setting in SETTINGS.iter().filter(|setting| !(setting.valid)(config)) {
        errors.add(origin(setting.key), format!("`{}` must be {}", setting.key, setting.allowed));
    }
    if config.decision.precision.is_some() && config.decision.band.is_some() {
        let message = "`decision.precision` and `decision.band` exclude each other: set one of them";
        errors.add(origin("decision.band"), message.to_owned());
    }
    let decision = &config.decision;
    let marks = decision.precision.is_some() || decision.band.is_some();
    if decision.review_topic.is_some() && !marks && decision.review_share == 0.0 {
        let message = "nothing would be written to `decision.review_topic`: set `decision.precision` or `decision.band`, or \
                       `decision.review_share` for a sample of all comments";
        errors.add(origin("decision.review_topic"), message.to_owned());
    }
    if decision.review_topic.is_none() && decision.review_share > 0.0 {
        let message = "`decision.review_share` needs `decision.review_topic`";
        errors.add(origin("decision.review_share"), message.to_owned());
    }
    let topics = config.topics();
    let pairs = (1..topics.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
    for (first, second) in pairs {
        let ((topic, first), (other, second)) = (topics[first], topics[second]);
        if topic == other {
            let set = if origin(second) == Origin::Default { origin(first) } else { origin(second) };
            let topic = excerpt(topic, MAX_SHOWN);
            errors.add(set, format!("`{first}` and `{second}` must be different topics; both are `{topic}`"));
        }
    }
}

fn brokers(list: &str) -> bool {
    list.split(',').map(str::trim).all(|broker| {
        // librdkafka also takes `SASL_SSL://host:port`, and 9092 where no port is given.
        let address = broker.split_once("://").map_or(broker, |(_, address)| address);
        let has_port = address.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        if has_port { host_and_port(address, 1) } else { host(address) }
    })
}

fn host_and_port(address: &str, lowest: u16) -> bool {
    address
        .rsplit_once(':')
        .is_some_and(|(name, port)| host(name) && port.parse::<u16>().is_ok_and(|port| port >= lowest))
}

fn host(name: &str) -> bool {
    let bracketed = name.starts_with('[') && name.ends_with(']');
    !name.is_empty()
        && (bracketed || !name.contains(':'))
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
}

/// Whether `text` can be a part of a transactional id `{group}/{instance}/{worker}`.
fn member(text: &str) -> bool {
    let is_wrong = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    !text.is_empty() && text.len() <= 200 && !text.contains(is_wrong)
}

/// Whether `text` has the form of a version's name: `0123456789ab`, `v7`, `current`.
fn is_version_name(text: &str) -> bool {
    let hex = [12, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let alias = text.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok());
    hex || alias || text == "current"
}

/// Whether each token has a name of its own that fits into a line of the log.
fn tokens(tokens: &[Token]) -> bool {
    let good = |name: &str| (1..=100).contains(&name.len()) && !name.contains(char::is_control);
    let different: std::collections::BTreeSet<&str> =
        tokens.iter().map(|token| token.name.as_str()).collect();
    different.len() == tokens.len() && tokens.iter().all(|token| good(&token.name))
}

fn share(number: f64) -> bool {
    number > 0.0 && number <= 1.0
}

/// Whether these are different names of fields.
fn field_names(names: &[String]) -> bool {
    let different: std::collections::BTreeSet<&String> = names.iter().collect();
    !names.is_empty() && different.len() == names.len() && names.iter().all(|name| !name.is_empty())
}

/// Whether `url` names a folder or a supported kind of store.
fn store(url: &str) -> bool {
    match url.split_once("://") {
        None => !url.trim().is_empty(),
        Some((scheme, rest)) => {
            let known = ["file", "s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss"];
            known.contains(&scheme) && !rest.is_empty()
        }
    }
}

fn topic(name: &str) -> bool {
    (1..=249).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_settings() {
        let all = serde_json::to_value(Config::default()).unwrap();
        let mut keys = Vec::new();
        for (section, settings) in all.as_object().unwrap() {
            for key in settings.as_object().unwrap().keys() {
                if section != "kafka" || !PROPERTY_SECTIONS.contains(&key.as_str()) {
                    keys.push(format!("{section}.{key}"));
                }
            }
        }
        let listed: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
        assert_eq!(listed, keys);
    }

    #[test]
    fn the_defaults_are_in_range() {
        let mut errors = ConfigErrors::default();
        check(&Config::default(), &Origins::default(), &mut errors);
        assert_eq!(errors, ConfigErrors::default());
    }

    #[test]
    fn brokers_are_hosts_with_ports() {
        for good in ["a:1", "a:1, b:2", "a", "SASL_SSL://a.b-c:9093", "[::1]:9092", "10.0.0.1:9092,[::1]"] {
            assert!(brokers(good), "{good}");
        }
        for bad in ["", "a:", "a:0", "a:65536", "a:x", ":9092", "a:1,", "a b:1", "::1", "http://a:1/x"] {
            assert!(!brokers(bad), "{bad}");
        }
    }

    #[test]
    fn an_unknown_setting_is_refused_with_the_nearest_name() {
        assert!(
            unknown("worker.worker").contains("did you mean `worker.workers`?"),
            "{}",
            unknown("worker.worker")
        );
        assert!(unknown("worker.worker").contains("[worker] has workers, batch_records"));
        assert!(unknown("nothing.like.this").contains("the sections are kafka, input, output"));
        assert!(unknown("kafka.security").contains("properties, consumer, producer"));
    }

    #[test]
    fn a_retired_setting_is_refused_with_what_to_do_instead() {
        for (key, message) in RETIRED {
            assert!(find(key).is_none(), "{key}");
            assert_eq!(unknown(key), message);
        }
    }
}

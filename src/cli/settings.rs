//! Settings as every command loads them: the file, the environment of this process, flags, and librdkafka's own check of
//! the properties among them.

use crate::config::{Config, ConfigErrors, Effective, Flag, Loaded, read};
use crate::http::{Access, Tls};
use crate::kafka::ClientProperties;
use crate::telemetry::set_message_format;
use std::ffi::OsString;
use std::path::Path;

/// Settings that passed every check.
#[derive(Debug)]
pub(super) struct Settings {
    loaded: Loaded,
    /// The properties for librdkafka, secrets resolved.
    pub(super) clients: ClientProperties,
}

impl Settings {
    /// Loads `file`, the environment and `flags`.
    ///
    /// # Errors
    /// All errors at once: those of the settings, then those of librdkafka.
    pub(super) fn load(file: Option<&Path>, flags: &[Flag]) -> Result<Self, ConfigErrors> {
        Self::load_from(file, std::env::vars_os(), flags)
    }

    fn load_from(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &[Flag],
    ) -> Result<Self, ConfigErrors> {
        let (loaded, mut errors) = read(file, environment, flags);
        let (clients, refused) = ClientProperties::resolve_with(&loaded.config, &loaded.origins);
        errors.extend(refused);
        // Checked here, too, so that `config check` reports what would keep `run` from starting.
        if let Err(error) = Access::resolve(&loaded.config.http).and_then(|_| Tls::check(&loaded.config.http))
        {
            let origin = loaded.origins.get(error.setting()).cloned().unwrap_or_default();
            errors.add(origin, error.to_string());
        }
        // Known by now, so that errors have the form of the log that they end.
        set_message_format(loaded.config.log.format);
        errors.none_or(Settings { loaded, clients })
    }

    /// All settings.
    pub(super) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// All settings, to be changed.
    pub(super) fn into_config(self) -> Config {
        self.loaded.config
    }

    /// Every setting as it is in effect; secrets masked.
    pub(super) fn effective(&self) -> Vec<Effective> {
        self.loaded.effective()
    }
}

#[cfg(test)]
mod tests {
    use super::super::decision::policy;
    use super::*;
    use crate::config::Origin;
    use crate::pipeline::worker_count;
    use crate::record::Reader;
    use crate::registry::CanaryThresholds;
    use std::collections::BTreeSet;

    /// Where a setting has its effect.
    enum Effect {
        /// In what the Kafka clients get.
        Clients(fn(&ClientProperties) -> String),
        /// In something that is built from the settings.
        Built(fn(&Config) -> String),
        /// Only in a running process: the source that reads it must exist.
        Read,
    }
    use Effect::{Built, Clients, Read};

    fn comment(config: &Config) -> String {
        let record = br#"{"id": 1, "text": "a", "no": 2, "body": "b", "rating": 3}"#;
        let reader = Reader::new(config);
        format!("{:?} {:?}", reader.read(record), reader.echo())
    }

    fn thresholds(config: &Config) -> String {
        format!("{:?}", CanaryThresholds::from(&config.registry))
    }

    /// Every setting with a value that is not its default, and where that shows.
    const EFFECTS: &[(&str, &str, Effect)] = &[
        ("kafka.brokers", "a:1", Clients(|c| format!("{:?}", c.plain().get("bootstrap.servers")))),
        ("kafka.group", "g", Clients(|c| format!("{:?}", c.consumer(0).get("group.id")))),
        (
            "kafka.delivery",
            "at_least_once",
            Clients(|c| format!("{:?}", c.producer(0).get("transactional.id").is_some())),
        ),
        ("kafka.instance", "i", Clients(|c| c.transactional_id(0))),
        ("input.topic", "t", Read),
        ("input.format", "text", Built(comment)),
        ("input.max_bytes", "5", Built(comment)),
        ("input.on_corrupt", "skip", Read),
        ("input.start", "latest", Read),
        ("input.beyond_end", "end", Read),
        ("input.text_field", "body", Built(comment)),
        ("input.id_field", "no", Built(comment)),
        ("input.rating_field", "stars", Read),
        ("input.product_id_field", "product", Read),
        ("output.topic", "t", Read),
        ("output.echo", "[\"rating\"]", Built(comment)),
        ("output.sentences", "true", Read),
        ("dead_letters.topic", "t", Read),
        ("dead_letters.breaker_share", "0.25", Read),
        ("dead_letters.breaker", "exit", Read),
        ("dead_letters.breaker_window", "7", Read),
        ("worker.workers", "7", Built(|c| worker_count(c).to_string())),
        ("worker.batch_records", "7", Read),
        ("worker.batch_bytes", "2048", Read),
        ("worker.poll_ms", "7", Read),
        ("worker.linger_ms", "7", Read),
        ("worker.stall_seconds", "7", Read),
        ("worker.stop_seconds", "7", Read),
        ("engine.kernel", "portable", Read),
        ("model.path", "Cargo.toml", Read),
        ("decision.precision", "0.97", Built(|c| format!("{:?}", policy(c)))),
        ("decision.band", "[0.2, 0.8]", Built(|c| format!("{:?}", policy(c)))),
        ("decision.review_topic", "t", Read),
        ("decision.review_share", "0.25", Read),
        ("registry.url", "folder", Read),
        ("registry.interval", "7", Read),
        ("registry.watch_seconds", "7", Built(thresholds)),
        ("registry.watch_share", "0.25", Built(thresholds)),
        ("registry.watch_comments", "7", Built(thresholds)),
        ("registry.least_agreement", "0.25", Built(thresholds)),
        ("registry.label_band", "0.25", Built(thresholds)),
        ("registry.unknown_band", "0.25", Built(thresholds)),
        ("registry.error_band", "0.25", Built(thresholds)),
        ("registry.shadow", "v7", Read),
        ("registry.shadow_share", "0.25", Read),
        ("replay.topic", "t", Read),
        ("replay.live_lag_records", "7", Read),
        ("http.address", "127.0.0.1:7", Read),
        ("http.insecure", "true", Read),
        ("http.hosts", "nunchi", Read),
        ("http.tokens", "[{ name = \"a\", role = \"read\", token = { file = \"TOKEN\" } }]", Read),
        ("http.tls_certificate", "a.pem", Read),
        ("http.tls_key", "a.key", Read),
        ("log.level", "debug", Built(|c| format!("{:?}", c.log.filter().map(|filter| filter.to_string())))),
        ("log.format", "json", Read),
    ];

    /// The text of every source file of this package that is no part of the settings themselves.
    fn sources(folder: &Path, all: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("src/config") {
                sources(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("src/cli/settings.rs")
            {
                all.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    fn load(flags: &[Flag]) -> Settings {
        Settings::load_from(None, [], flags).unwrap()
    }

    #[test]
    fn every_setting_changes_something() {
        let default = load(&[]);
        let keys: BTreeSet<String> =
            default.effective().iter().map(|line| format!("{}.{}", line.section, line.name)).collect();
        let tested: BTreeSet<String> = EFFECTS.iter().map(|(key, ..)| (*key).to_owned()).collect();
        assert_eq!(tested, keys, "a setting needs an entry that shows what it changes");
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token.path(), "0123456789abcdef").unwrap();
        let mut source = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut source);
        for (key, value, effect) in EFFECTS {
            let value = value.replace("TOKEN", token.path().to_str().unwrap());
            let mut flags = vec![Flag::set(&format!("{key}={value}"))];
            // What does not go without the other.
            for pair in [
                [("http.tls_certificate", "other.pem"), ("http.tls_key", "other.pem")],
                [("decision.review_topic", "other"), ("decision.review_share", "0.5")],
            ] {
                if pair.iter().any(|(name, _)| name == key) {
                    let other = pair.iter().filter(|(name, _)| name != key);
                    flags.extend(other.map(|(name, value)| Flag::set(&format!("{name}={value}"))));
                }
            }
            let changed = load(&flags);
            let line = |settings: &Settings| {
                let named = |line: &Effective| format!("{}.{}", line.section, line.name) == *key;
                settings.effective().into_iter().find(named).unwrap()
            };
            assert_ne!(line(&default).value, line(&changed).value, "{key}");
            assert_eq!(line(&changed).origin, Origin::Flag(format!("--set {key}")));
            match effect {
                Clients(show) => assert_ne!(show(&default.clients), show(&changed.clients), "{key}"),
                Built(show) => assert_ne!(show(default.config()), show(changed.config()), "{key}"),
                // A field that is read nowhere is a setting without effect.
                Read => {
                    let (section, field) = key.split_once('.').unwrap();
                    let reads = [
                        format!("config.{section}.{field}"),
                        format!("settings.{field}"),
                        format!("log.{field}"),
                    ];
                    assert!(reads.iter().any(|read| source.contains(read)), "nothing reads {key}");
                }
            }
        }
    }
}

//! Log lines as JSON objects: one a line, lists as arrays.
//!
//! Why not the formatter of `tracing-subscriber`: it writes every value that is not a primitive as a string, so that
//! `partitions` was `"[0, 1]"`. Names and their order are the same.

use jiff::Timestamp;
use serde_json::{Map, Value};
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats events.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::begin(event.metadata().level().as_str());
        event.record(&mut fields);
        writeln!(line, "{}", fields.end(event.metadata().target()))
    }
}

/// One message that is no event of `tracing`, as a line in the same form.
pub(super) fn message_line(level: &str, message: &str) -> String {
    let mut fields = Fields::begin(level);
    fields.put("message", message.into());
    fields.end("nunchi").to_string() + "\n"
}

/// The fields of one line.
struct Fields {
    object: Map<String, Value>,
    /// Where the line comes from, if the crate `log` brought it.
    target: Option<String>,
}

impl Fields {
    fn begin(level: &str) -> Self {
        let mut fields = Fields { object: Map::new(), target: None };
        // Microseconds, as before.
        fields.put("timestamp", format!("{:.6}", Timestamp::now()).into());
        fields.put("level", level.into());
        fields
    }

    fn put(&mut self, name: &str, value: Value) {
        match name.strip_prefix("log.") {
            None => {
                self.object.insert(name.to_owned(), value);
            }
            // What the crate `log` adds to its records: source files, which nobody needs, and their target.
            Some("target") => self.target = value.as_str().map(str::to_owned),
            Some(_) => {}
        }
    }

    fn end(mut self, target: &str) -> Value {
        let target = self.target.take().unwrap_or_else(|| target.to_owned());
        self.put("target", target.into());
        Value::Object(self.object)
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        // Rust writes lists of numbers and strings as JSON does.
        let list = match field.name() {
            "message" => None,
            _ if text.starts_with('[') => serde_json::from_str::<Vec<Value>>(&text).ok(),
            _ => None,
        };
        self.put(field.name(), list.map_or_else(|| text.into(), Value::Array));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lists_are_arrays_and_values_keep_their_types() {
        let kept = Kept::default();
        let writer = kept.clone();
        let logs = tracing_subscriber::fmt()
            .with_ansi(false)
            .event_format(JsonLines)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(logs, || {
            tracing::info!(
                topic = "comments",
                partitions = ?[0, 1],
                names = ?["a", "\"b\""],
                none = ?Vec::<i32>::new(),
                delivery = ?Some(1),
                share = 0.5,
                number = -3,
                right = true,
                "[1, 2] is \"said\""
            );
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let line: Value = serde_json::from_str(text.strip_suffix('\n').unwrap()).unwrap();
        let expected = serde_json::json!({
            "timestamp": line["timestamp"], "level": "INFO", "message": "[1, 2] is \"said\"", "topic": "comments",
            "partitions": [0, 1], "names": ["a", "\"b\""], "none": [], "delivery": "Some(1)", "share": 0.5,
            "number": -3, "right": true, "target": module_path!(),
        });
        assert_eq!(line, expected);
        let timestamp = line["timestamp"].as_str().unwrap();
        assert!(timestamp.len() == 27 && timestamp.parse::<Timestamp>().is_ok(), "{timestamp}");
    }

    #[test]
    fn a_message_is_a_line_of_the_same_form() {
        let line = message_line("ERROR", "two\nlines");
        let object: Value = serde_json::from_str(line.trim_end()).unwrap();
        assert_eq!((&object["level"], &object["message"]), (&"ERROR".into(), &"two\nlines".into()));
        assert_eq!(line.matches('\n').count(), 1);
    }
}

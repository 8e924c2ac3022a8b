//! What goes out: a verdict's JSON.

use nunchi_data::without_lone_surrogates;
use nunchi_engine::score::WrittenScore;
use nunchi_engine::{Prediction, Sentences, Unsure};

/// A verdict about to be written.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    /// The id's JSON; `null` if absent.
    pub id: Option<&'a str>,
    /// The prediction of the network.
    pub prediction: &'a Prediction,
    /// The model's class names.
    pub labels: &'a [String],
    /// The model's VERSION.
    pub model: &'a str,
}

impl Verdict<'_> {
    /// Appends the verdict's JSON object, with `echo`'s names and JSON values under `fields` if there is any name.
    pub fn write(&self, echo: &[String], values: &[Option<&str>], out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"id\":");
        write_json(self.id.unwrap_or("null"), out);
        self.write_prediction(out);
        if !echo.is_empty() {
            out.extend_from_slice(b",\"fields\":{");
            let present = echo.iter().zip(values).filter_map(|(name, value)| Some((name, (*value)?)));
            for (place, (name, value)) in present.enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write_json(value, out);
            }
            out.push(b'}');
        }
        out.push(b'}');
    }

    /// Appends `,"label":…,"score":…[,"scores":…],"model":…[,"truncated":true][,"unsure":true][,"language":"other"][,"sentences":…[,"mixed":true]]`:
    /// the part
    /// that all outputs share, after the first field.
    pub fn write_prediction(&self, out: &mut Vec<u8>) {
        let prediction = self.prediction;
        out.extend_from_slice(b",\"label\":");
        write_string(self.labels.get(prediction.label).map_or("", String::as_str), out);
        out.extend_from_slice(b",\"score\":");
        WrittenScore::new(prediction.score).write(out);
        if !prediction.scores.is_empty() {
            out.extend_from_slice(b",\"scores\":{");
            for (place, (label, score)) in self.labels.iter().zip(&prediction.scores).enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_string(label, out);
                out.push(b':');
                WrittenScore::new(*score).write(out);
            }
            out.push(b'}');
        }
        out.extend_from_slice(b",\"model\":");
        write_string(self.model, out);
        if prediction.truncated {
            out.extend_from_slice(b",\"truncated\":true");
        }
        if let Some(reason) = prediction.unsure {
            out.extend_from_slice(b",\"unsure\":true");
            if reason == Unsure::Language {
                out.extend_from_slice(b",\"language\":\"other\"");
            }
        }
        if let Some(sentences) = &prediction.sentences {
            out.extend_from_slice(b",\"sentences\":");
            write_sentences(sentences, self.labels, out);
            if sentences.mixed {
                out.extend_from_slice(b",\"mixed\":true");
            }
        }
    }
}

/// Appends the array of `sentences`: `{"start":…,"end":…,"label":…,"score":…}` each.
pub fn write_sentences(sentences: &Sentences, labels: &[String], out: &mut Vec<u8>) {
    out.push(b'[');
    for (place, part) in sentences.parts.iter().enumerate() {
        let between = if place > 0 { "," } else { "" };
        out.extend_from_slice(
            format!("{between}{{\"start\":{},\"end\":{},\"label\":", part.start, part.end).as_bytes(),
        );
        write_string(labels.get(part.label).map_or("", String::as_str), out);
        out.extend_from_slice(b",\"score\":");
        WrittenScore::new(part.score).write(out);
        out.push(b'}');
    }
    out.push(b']');
}

/// Appends JSON of the record as it came, but for half surrogate pairs: strict readers refuse the whole verdict for one.
fn write_json(json: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(without_lone_surrogates(json).as_bytes());
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing a string to memory does not fail");
}

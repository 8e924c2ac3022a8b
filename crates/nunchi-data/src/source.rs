//! A data file as the command line names it: `FILE,weight=3`.

use std::path::PathBuf;
use std::str::FromStr;

/// A data file and how much each of its examples counts; written `FILE` and then, if wanted, `,weight=3`, `,soft=COLUMN`,
/// `,hold-out=0`, `,teacher=0.2`, `,word-dropout=0` and `,vary=0.5` in any order.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The factor of its examples' loss.
    pub weight: f64,
    /// The column with soft labels: a teacher's probability of positive.
    pub soft: Option<String>,
    /// The share of the soft label in what is learned, the label having the rest, if not as of others, in `0..=1`.
    pub distillation_weight: Option<f64>,
    /// Every so many of its rows one is held out to develop on, if not as of others; 0 for none.
    pub hold_out: Option<u64>,
    /// The share of tokens that is left out of its comments, if not as of others, in `0..=1`.
    pub word_dropout: Option<f64>,
    /// The share of its comments that is augmented, anew each time that they are read, in `0..=1`.
    pub augmentation: f64,
}

impl Source {
    /// The file's name without its folder: all that reports contain of its path.
    pub fn file_name(&self) -> String {
        let name = self.path.file_name();
        name.map_or_else(|| self.path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut source = Source {
            path: PathBuf::new(),
            weight: 1.0,
            soft: None,
            distillation_weight: None,
            hold_out: None,
            word_dropout: None,
            augmentation: 0.0,
        };
        let mut path = text;
        // From the end: a file's name may hold commas.
        while let Some((before, option)) = path.rsplit_once(',') {
            if let Some(weight) = option.strip_prefix("weight=") {
                let number = weight.parse().ok().filter(|weight: &f64| weight.is_finite() && *weight > 0.0);
                source.weight =
                    number.ok_or_else(|| format!("the weight `{weight}` is not a number above 0"))?;
            } else if let Some(column) = option.strip_prefix("soft=") {
                source.soft = Some(column.to_owned());
            } else if let Some(share) = option.strip_prefix("teacher=") {
                source.distillation_weight = Some(within_one("distillation weight", share)?);
            } else if let Some(every) = option.strip_prefix("hold-out=") {
                let every = every.parse().map_err(|_| format!("`hold-out={every}` is no number of rows"))?;
                source.hold_out = Some(every);
            } else if let Some(share) = option.strip_prefix("word-dropout=") {
                source.word_dropout = Some(within_one("share of tokens left out", share)?);
            } else if let Some(share) = option.strip_prefix("vary=") {
                source.augmentation = within_one("share of varied comments", share)?;
            } else {
                break;
            }
            path = before;
        }
        source.path = PathBuf::from(path);
        Ok(source)
    }
}

fn within_one(what: &str, number: &str) -> Result<f64, String> {
    let share = number.parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("the {what} `{number}` is not within 0 and 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_written_after_the_file() {
        let source = |path: &str, weight, soft: Option<&str>| {
            Ok(Source {
                path: path.into(),
                weight,
                soft: soft.map(str::to_owned),
                distillation_weight: None,
                hold_out: None,
                word_dropout: None,
                augmentation: 0.0,
            })
        };
        assert_eq!("a.tsv".parse(), source("a.tsv", 1.0, None));
        assert_eq!("a.tsv.gz,weight=2.5".parse(), source("a.tsv.gz", 2.5, None));
        assert_eq!("a,b.tsv,soft=teacher,weight=2".parse(), source("a,b.tsv", 2.0, Some("teacher")));
        assert_eq!("a,b.tsv".parse(), source("a,b.tsv", 1.0, None));
        let strict: Source = "a.tsv,teacher=0,vary=0.5,word-dropout=0,hold-out=0,weight=2".parse().unwrap();
        assert_eq!((strict.distillation_weight, strict.weight, strict.augmentation), (Some(0.0), 2.0, 0.5));
        assert_eq!((strict.word_dropout, strict.hold_out), (Some(0.0), Some(0)));
        assert!("a.tsv,teacher=2".parse::<Source>().is_err());
        assert!("a.tsv,weight=0".parse::<Source>().is_err());
        assert!("a.tsv,weight=x".parse::<Source>().is_err());
    }
}

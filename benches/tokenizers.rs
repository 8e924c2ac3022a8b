//! Comments a second of the tokenizer on one core: `cargo bench --bench tokenizers -- [--save FILE]`.
//!
//! Trains 16,000 pieces on the reviews in `$NUNCHI_DATA` (default `../shared/data`), then cuts shopping_dev and movie_test
//! into pieces, five rounds each, and prints one JSON object a line: the median round and the spread. `--save DIR` writes
//! the tokenizer and the texts for `benches/tokenizer_peers.py`.

use flate2::read::MultiGzDecoder;
use nunchi::text::{Scratch, Tokenizer, train};
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

fn measure(tokenizer: &Tokenizer, name: &str, texts: &[String]) {
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    let (mut tokens, mut unknown, mut spelled) = (0, 0, 0);
    let mut seconds: Vec<f64> = (0..6)
        .map(|_| {
            (tokens, unknown, spelled) = (0, 0, 0);
            let begin = Instant::now();
            for text in texts {
                out.clear();
                let encoded = tokenizer.encode(text, usize::MAX, &mut scratch, &mut out);
                tokens += encoded.tokens;
                unknown += encoded.unknown;
            }
            let elapsed = begin.elapsed().as_secs_f64();
            for text in texts {
                out.clear();
                tokenizer.encode(text, usize::MAX, &mut scratch, &mut out);
                spelled += out.iter().filter(|&&id| (1..=256).contains(&id)).count();
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
            "tokenizer": "nunchi", "data": name, "comments_per_s": (count / seconds[2]).round(),
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
    let begin = Instant::now();
    let tokenizer = train(&training, 16_000).expect("the reviews suffice");
    eprintln!(
        "{} pieces from {} comments in {:.1?}",
        tokenizer.vocabulary(),
        training.len(),
        begin.elapsed()
    );
    let tests = ["shopping_dev", "movie_test"].map(|name| (name, column(&data, name)));
    let mut arguments = std::env::args().skip_while(|argument| argument != "--save").skip(1);
    if let Some(folder) = arguments.next() {
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        std::fs::write(Path::new(&folder).join("tokenizer.bin"), tokenizer.to_parts().1).expect("writable");
        for (name, texts) in tests.iter().map(|(name, texts)| (*name, texts)).chain([("training", &training)])
        {
            std::fs::write(Path::new(&folder).join(name), texts.join("\n")).expect("writable");
        }
    }
    for (name, texts) in &tests {
        measure(&tokenizer, name, texts);
    }
}

//! The lessons in `lessons/` can be learned from, and hold nothing of what is tested.

use nunchi_data::{ColumnHints, CommentKey, CommentKeys, read, two_labels};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .quoting(false)
        .from_path(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let row = |record: Result<csv::StringRecord, csv::Error>| {
        record.expect("every line has all columns").iter().map(str::to_owned).collect()
    };
    reader.records().map(row).collect()
}

fn lessons() -> Vec<(PathBuf, Vec<Vec<String>>)> {
    let files = std::fs::read_dir(root().join("lessons")).expect("the lessons are there");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a readable folder").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "tsv"));
    files.sort();
    assert!(files.len() > 10);
    files.into_iter().map(|path| (path.clone(), rows(&path))).collect()
}

/// Letters and digits alone; of a comment without any (emoji) the comment itself.
fn letters(text: &str) -> String {
    let letters: String = text.chars().filter(|character| character.is_alphanumeric()).collect();
    if letters.is_empty() { text.trim().to_owned() } else { letters }
}

/// Neighboring letters.
fn pairs_of_letters(letters: &str) -> HashSet<(char, char)> {
    letters.chars().zip(letters.chars().skip(1)).collect()
}

#[test]
fn lessons_are_pairs_of_a_bad_and_a_good_comment() {
    for (path, rows) in lessons() {
        assert!(rows.len() >= 2 && rows.len().is_multiple_of(2), "{}", path.display());
        for (number, pair) in rows.chunks(2).enumerate() {
            let [worse, better] = pair else { unreachable!("chunks of an even number") };
            let at = format!("{}, pair {}: {pair:?}", path.display(), number + 1);
            assert_eq!((worse[1].as_str(), better[1].as_str()), ("0", "1"), "{at}");
            assert_eq!(worse[0], better[0], "{at}");
            assert!(!worse[2].trim().is_empty() && !better[2].trim().is_empty(), "{at}");
            assert_ne!(worse[2], better[2], "{at}");
        }
    }
}

#[test]
fn no_comment_is_taught_as_both() {
    let (mut said, mut keys) = (HashMap::<CommentKey, String>::new(), CommentKeys::default());
    for (path, rows) in lessons() {
        for row in rows {
            let label = said.entry(keys.key(&row[2])).or_insert_with(|| row[1].clone());
            assert_eq!(*label, row[1], "{}: {}", path.display(), row[2]);
        }
    }
    assert!(said.len() > 20_000);
}

/// Comments of the lessons that a network reads as comments of the tests: they differ in a skin tone or a variation selector,
/// which normalizing drops. They were found after the model that ships had learned them. They stay until the next training,
/// so that the lessons are what that model learned; of the 384 pairs one is affected.
const LEARNED_TESTS: [&str; 3] = ["👎🏻", "👍🏻", "⭐️⭐️⭐️⭐️⭐️"];

#[test]
fn nothing_that_is_tested_is_taught() {
    let mut keys = CommentKeys::default();
    let mut tested = HashSet::new();
    let tests: Vec<(String, HashSet<(char, char)>)> = ["pairs.tsv", "pairs-dev.tsv", "pairs-blind.tsv"]
        .iter()
        .flat_map(|file| rows(&root().join("samples").join(file)))
        .flat_map(|row| [row[1].clone(), row[3].clone()])
        .inspect(|text| _ = tested.insert(keys.key(text)))
        .map(|text| letters(&text))
        .map(|letters| (letters.clone(), pairs_of_letters(&letters)))
        .collect();
    assert!(tests.len() > 2_500);
    let whole: HashSet<&str> = tests.iter().map(|(letters, _)| letters.as_str()).collect();
    // Which tests have a pair of letters: few of them need be compared.
    let mut having: HashMap<(char, char), Vec<usize>> = HashMap::new();
    for (index, (_, pairs)) in tests.iter().enumerate() {
        pairs.iter().for_each(|&pair| having.entry(pair).or_default().push(index));
    }
    for (path, rows) in lessons() {
        for row in rows {
            let is_test = tested.contains(&keys.key(&row[2]));
            assert_eq!(is_test, LEARNED_TESTS.contains(&row[2].as_str()), "{}: {}", path.display(), row[2]);
            let taught = letters(&row[2]);
            assert!(!whole.contains(taught.as_str()), "{}: {}", path.display(), row[2]);
            if taught.chars().count() < 4 {
                continue;
            }
            let pairs = pairs_of_letters(&taught);
            let mut shared: HashMap<usize, usize> = HashMap::new();
            for index in pairs.iter().filter_map(|pair| having.get(pair)).flatten() {
                *shared.entry(*index).or_default() += 1;
            }
            for (index, count) in shared {
                let all = pairs.len() + tests[index].1.len() - count;
                assert!(
                    10 * count < 7 * all,
                    "{}: {} is too near {}",
                    path.display(),
                    row[2],
                    tests[index].0
                );
            }
        }
    }
}

#[test]
fn the_trainer_finds_the_columns_by_itself() {
    for (path, rows) in lessons() {
        let columns = ColumnHints::default().columns(&path, &two_labels()).unwrap();
        assert_eq!(columns.text, "text");
        let counts = read(&path, &columns, |_| {}).unwrap();
        assert_eq!(counts.classes, [rows.len() / 2, rows.len() / 2], "{}", path.display());
    }
}

#[test]
fn product_comments_have_stars_and_are_none_of_the_tests() {
    let comments = rows(&root().join("lessons/products/comments.tsv"));
    let none = rows(&root().join("lessons/products/no-opinion.tsv"));
    assert!(comments.len() >= 4_000 && none.len() >= 600, "{} and {}", comments.len(), none.len());
    let long = comments.iter().filter(|row| (100..=800).contains(&row[2].chars().count())).count();
    assert!(long * 2 >= comments.len(), "{long} of {} have 100 to 800 characters", comments.len());
    for stars in ["1", "2", "3", "4", "5"] {
        let count = comments.iter().filter(|row| row[1] == stars).count();
        assert!(count * 6 >= comments.len(), "{count} with {stars} stars");
    }
    let mut tests = HashSet::new();
    for name in ["pairs.tsv", "pairs-dev.tsv", "pairs-blind.tsv"] {
        tests.extend(
            rows(&root().join("samples").join(name))
                .iter()
                .flat_map(|row| [letters(&row[1]), letters(&row[3])]),
        );
    }
    let texts = comments.iter().map(|row| &row[2]).chain(none.iter().map(|row| &row[1]));
    let mut seen = HashSet::new();
    for text in texts {
        assert!(!text.trim().is_empty() && seen.insert(text.clone()), "twice, or nothing: {text}");
        assert!(!tests.contains(&letters(text)), "a test: {text}");
    }
}

//! A model file comes back as it was written; whatever is wrong with one is refused with a sentence.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use ndarray::Array2;
use nunchi_model::rnn::{Cell, HeadKind, Pooling, Shape};
use nunchi_model::{
    ClassCoverage, Coverage, Extension, Histogram, Model, ModelError, Reference, WeightFormat, testing,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    testing::model(Cell::Gru, 7).to_bytes(WeightFormat::F16).expect("a random model can be written").0
});

/// Header and tensors of a file.
fn open(file: &[u8]) -> (Value, Vec<u8>) {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&file[8..8 + length]).unwrap(), file[8 + length..].to_vec())
}

fn close(header: &Value, tensors: &[u8]) -> Vec<u8> {
    let header = header.to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes(), &header[..], tensors].concat()
}

/// As anybody could do it who knows `docs/MODEL.md`: changes a file and makes its checksum right again.
fn forge(change: impl FnOnce(&mut Value, &mut Vec<u8>)) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let (mut header, mut tensors) = open(&FILE);
    change(&mut header, &mut tensors);
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    let metadata: std::collections::BTreeMap<String, String> =
        serde_json::from_value(header["__metadata__"].clone()).unwrap();
    for (key, value) in metadata.iter().filter(|(key, _)| *key != "checksum") {
        field(key.as_bytes());
        field(value.as_bytes());
    }
    let infos: std::collections::BTreeMap<String, Value> = serde_json::from_value(header.clone()).unwrap();
    for (name, info) in infos.iter().filter(|(name, _)| *name != "__metadata__") {
        field(name.as_bytes());
        field(info["dtype"].as_str().unwrap().as_bytes());
        let shape: Vec<u64> = serde_json::from_value(info["shape"].clone()).unwrap();
        field(&shape.iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<_>>());
        let [begin, end]: [usize; 2] = serde_json::from_value(info["data_offsets"].clone()).unwrap();
        field(tensors.get(begin..end).unwrap_or_default());
    }
    let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    header["__metadata__"]["checksum"] = digits.into();
    close(&header, &tensors)
}

fn refusal(file: &[u8]) -> String {
    match Model::from_bytes(file) {
        Ok(_) => panic!("the file was accepted"),
        Err(error) => error.to_string(),
    }
}

fn shapes() -> Vec<Shape> {
    let gru = testing::shape(Cell::Gru);
    vec![
        testing::shape(Cell::Bag),
        testing::shape(Cell::Simple),
        gru,
        Shape { layers: 2, bidirectional: true, ..testing::shape(Cell::Lstm) },
        Shape { pooling: Pooling::Max, head: HeadKind::Softmax, outputs: 5, ..gru },
    ]
}

#[test]
fn comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for shape in shapes() {
        let model = Model::random(shape, testing::tokenizer(), 3).unwrap();
        for precision in [WeightFormat::F32, WeightFormat::F16, WeightFormat::Bf16] {
            let version = model.save(&path, precision).unwrap();
            let back = Model::load(&path).unwrap();
            assert_eq!(back.version, version);
            assert_eq!((version.len(), back.network.shape), (12, model.network.shape));
            for ((name, before), (_, after)) in model.network.tensors().iter().zip(back.network.tensors()) {
                assert_eq!(before.mapv(|value| precision.round(value)), after, "{name}");
            }
            assert_eq!(back.tokenizer.to_parts(), model.tokenizer.to_parts());
            assert_eq!((&back.labels, back.max_tokens, &back.name), (&model.labels, 128, &model.name));
            // Written again, nothing changes: golden scores are those of the stored weights.
            assert_eq!(back.to_bytes(precision).unwrap().0, std::fs::read(&path).unwrap());
        }
    }
    // Only the model is left in the folder.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A table for a model with two labels.
fn coverage() -> Coverage {
    let class = |label: &str, points: &[(f64, u64, u64)]| ClassCoverage {
        label: label.to_owned(),
        points: points.iter().map(|&point| point.into()).collect(),
    };
    Coverage {
        data: vec!["dev.tsv".to_owned()],
        comments: 400,
        no_opinion: 12,
        classes: vec![
            class("negative", &[(0.99, 80, 80), (0.7, 150, 140)]),
            class("positive", &[(0.999_999, 120, 119), (0.5, 200, 180)]),
        ],
    }
}

fn reference() -> Reference {
    let (mut score, mut length) = (Histogram::new([0.25, 0.5, 0.75]), Histogram::new([10.0, 80.0]));
    [0.1, 0.6, 0.9].into_iter().for_each(|value| score.count(value));
    [5.0, 10.0, 200.0].into_iter().for_each(|value| length.count(value));
    let byte_pieces = Histogram { edges: vec![0.0], counts: vec![3, 0] };
    Reference { data: Vec::new(), comments: 3, score, length, byte_pieces, labels: vec![1, 2] }
}

#[test]
fn format_2_comes_back_as_it_was_written_and_format_1_stays_what_it_was() {
    let plain = testing::model(Cell::Gru, 7);
    let (bytes, version) = plain.to_bytes(WeightFormat::F16).unwrap();
    assert_eq!(open(&bytes).0["__metadata__"]["nunchi.format"], "1");
    let opinion = testing::with_opinion(plain.clone()).extension.opinion;
    let [one, two, three] = [
        Extension { opinion, ..Extension::default() },
        Extension { coverage: Some(coverage()), ..Extension::default() },
        Extension { reference: Some(reference()), ..Extension::default() },
    ];
    let all = Extension { coverage: two.coverage.clone(), reference: three.reference.clone(), ..one.clone() };
    for extension in [one, two, three, all] {
        let extended = Model { extension, ..plain.clone() };
        let (bytes, other) = extended.to_bytes(WeightFormat::F16).unwrap();
        assert_eq!(open(&bytes).0["__metadata__"]["nunchi.format"], "2");
        let back = Model::from_bytes(&bytes).unwrap();
        assert_ne!(other, version);
        assert_eq!(back.version, other);
        assert_eq!(back.extension.coverage, extended.extension.coverage);
        assert_eq!(back.extension.reference, extended.extension.reference);
        let weights = |model: &Model, format: WeightFormat| {
            let opinion = model.extension.opinion.as_ref();
            opinion.map(|opinion| opinion.weight.mapv(|value| format.round(value)))
        };
        assert_eq!(weights(&back, WeightFormat::F32), weights(&extended, WeightFormat::F16));
        assert_eq!(back.to_bytes(WeightFormat::F16).unwrap().0, bytes);
        // Scores are those of the model without it.
        assert_eq!(back.golden, Model::from_bytes(&FILE).unwrap().golden);
        // Without it the file is the one of format 1, byte by byte.
        let without = Model { extension: Extension::default(), ..back };
        assert_eq!(without.to_bytes(WeightFormat::F16).unwrap().1, version);
    }
}

/// A model of format 2, with one of its parts changed.
fn forge_extended(change: impl FnOnce(&mut Extension)) -> Result<(), String> {
    let mut model = testing::with_opinion(testing::model(Cell::Gru, 7));
    model.extension.coverage = Some(coverage());
    model.extension.reference = Some(reference());
    change(&mut model.extension);
    model.to_bytes(WeightFormat::F16).map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn what_format_2_adds_is_checked() {
    type Change = fn(&mut Extension);
    let changes: [(Change, &str); 8] = [
        (
            |it| it.opinion.as_mut().unwrap().weight[[0, 3]] = f32::NAN,
            "`opinion.weight` holds a weight that is",
        ),
        (
            |it| it.opinion.as_mut().unwrap().bias[0] = 70_000.0,
            "`opinion.bias` holds a weight that is infinite",
        ),
        (
            |it| it.opinion.as_mut().unwrap().weight = Array2::zeros((1, 23)),
            "`opinion.weight` is [1, 23] where",
        ),
        (
            |it| it.opinion.as_mut().unwrap().weight = Array2::zeros((2, 24)),
            "`opinion.weight` is [2, 24] where",
        ),
        (
            |it| it.coverage.as_mut().unwrap().classes.reverse(),
            "`coverage`: its classes are not the model's labels",
        ),
        (|it| it.coverage.as_mut().unwrap().classes[1].points.reverse(), "`coverage`: positive: point 2"),
        (
            |it| it.reference.as_mut().unwrap().comments = 4,
            "`reference`: score: the counts add up to 3, not to 4",
        ),
        (
            |it| it.reference.as_mut().unwrap().data = vec![String::new(); 65],
            "`reference`: `data` may have 64",
        ),
    ];
    assert_eq!(forge_extended(|_| ()), Ok(()));
    for (change, want) in changes {
        let said = forge_extended(change).unwrap_err();
        assert!(said.contains(want), "{want}: {said}");
    }
}

#[test]
fn hostile_parts_of_format_2_are_refused() {
    let long = format!("{{\"data\":[{}]}}", "\"x\",".repeat(400_000));
    for (key, value, want) in [
        ("coverage", "", "`coverage` is \"\"; it should be a table as docs/MODEL.md"),
        ("coverage", "[]", "it should be a table"),
        ("coverage", "{\"data\":[],\"comments\":-1,\"no_opinion\":0,\"classes\":[]}", "it should be a table"),
        ("coverage", "{\"data\":[],\"comments\":1,\"no_opinion\":0,\"classes\":[]}", "the model's labels"),
        (
            "coverage",
            "{\"data\":[],\"comments\":9,\"no_opinion\":0,\"classes\":[{\"label\":\"negative\",\"points\":[]},\
             {\"label\":\"positive\",\"points\":[[1e999,1,1]]}]}",
            "it should be a table",
        ),
        (
            "coverage",
            "{\"data\":[],\"comments\":9,\"no_opinion\":0,\"classes\":[{\"label\":\"negative\",\"points\":[]},\
             {\"label\":\"positive\",\"points\":[[0.5,99,1]]}]}",
            "99 verdicts of 9 comments",
        ),
        ("coverage", long.as_str(), "at most 1048576 bytes"),
        ("reference", "null", "it should be a table"),
        ("reference", long.as_str(), "at most 1048576 bytes"),
    ] {
        let said = refusal(&forge(|header, _| {
            header["__metadata__"]["nunchi.format"] = "2".into();
            header["__metadata__"][key] = value.into();
        }));
        assert!(said.contains(want) && said.len() < 400, "{key}: {said}");
        // A reader of format 1 never looked at these keys, and does not today.
        assert!(Model::from_bytes(&forge(|header, _| header["__metadata__"][key] = value.into())).is_ok());
    }
    for (name, dtype, shape, want) in [
        ("opinion.weight", "F16", json!([1, 24]), "`opinion.bias` is missing"),
        ("opinion.bias", "F16", json!([1]), "`opinion.weight` is missing"),
        ("opinion.weight", "F16", json!([1, 1, 24]), "`opinion.weight` has 3 dimensions"),
        ("opinion.weight", "I16", json!([1, 24]), "holds I16"),
        ("opinion.other", "F16", json!([1]), "format 2 has at least one of"),
    ] {
        let add = |header: &mut Value, tensors: &mut Vec<u8>, name: &str, dtype: &str, shape: &Value| {
            let count: u64 = shape.as_array().unwrap().iter().map(|size| size.as_u64().unwrap()).product();
            let begin = tensors.len();
            tensors.resize(begin + 2 * count as usize, 0);
            header[name] = json!({ "dtype": dtype, "shape": shape, "data_offsets": [begin, tensors.len()] });
        };
        let said = refusal(&forge(|header, tensors| {
            header["__metadata__"]["nunchi.format"] = "2".into();
            add(header, tensors, name, dtype, &shape);
            if want.contains("holds") || want.contains("dimensions") {
                add(header, tensors, "opinion.bias", "F16", &json!([1]));
            }
        }));
        assert!(said.contains(want), "{name} {shape}: {said}");
        let said = refusal(&forge(|header, tensors| add(header, tensors, name, "F16", &json!([1]))));
        assert!(said.contains("belongs to no part"), "format 1 has no such tensor: {said}");
    }
}

#[test]
fn golden_scores_are_those_of_the_rounded_weights() {
    let model = testing::model(Cell::Lstm, 5);
    let exact = Model::from_bytes(&model.to_bytes(WeightFormat::F32).unwrap().0).unwrap();
    let rough = Model::from_bytes(&model.to_bytes(WeightFormat::Bf16).unwrap().0).unwrap();
    assert_ne!(exact.golden, rough.golden);
    let texts: Vec<&str> = rough.golden.iter().map(|golden| golden.text.as_str()).collect();
    for (golden, score) in rough.golden.iter().zip(rough.reference_scores(&texts)) {
        assert_eq!(golden.score, score);
    }
    assert_ne!(exact.version, rough.version);
}

#[test]
fn a_missing_file_and_one_that_is_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Model::load(&folder.path().join("none")).unwrap_err();
    assert!(matches!(missing, ModelError::File { verb: "read", .. }), "{missing}");
    let unwritable =
        testing::model(Cell::Bag, 1).save(&folder.path().join("no/such/folder"), WeightFormat::F32);
    assert!(matches!(unwritable, Err(ModelError::File { verb: "write", .. })));
    for file in [&b""[..], b"PK\x03\x04", b"{}", &[0xff; 64]] {
        assert!(refusal(file).contains("not a complete safetensors file"));
    }
}

#[test]
fn oversized_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge");
    // Sparse: it takes no room on the disk.
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(Model::load(&path), Err(ModelError::TooLarge { .. })));
}

#[test]
fn every_truncation_is_refused() {
    for end in (0..FILE.len()).step_by(97).chain(FILE.len() - 9..FILE.len()) {
        refusal(&FILE[..end]);
    }
    refusal(&[&FILE[..], b"x"].concat());
}

#[test]
fn a_flipped_bit_is_found_by_the_checksum() {
    let (header, _) = open(&FILE);
    let tensors = FILE.len() - header["head.weight"]["data_offsets"][1].as_u64().unwrap() as usize;
    for place in [tensors, tensors + 1000, FILE.len() - 1] {
        let mut file = FILE.clone();
        file[place] ^= 1;
        assert!(refusal(&file).contains("checksum"));
    }
    let (mut header, tensors) = open(&FILE);
    header["__metadata__"]["temperature"] = "2".into();
    assert!(refusal(&close(&header, &tensors)).contains("checksum"));
    header["__metadata__"]["added"] = "x".into();
    assert!(refusal(&close(&header, &tensors)).contains("checksum"));
}

/// A change of metadata, what it becomes, and what the refusal says.
const METADATA: [(&str, &str, &str); 29] = [
    ("nunchi.format", "2", "format 2 has at least one of"),
    ("nunchi.format", "3", "has format 3, and this build (nunchi "),
    ("nunchi.format", "1.0", "which no build of nunchi writes"),
    ("nunchi.format", "0", "which no build of nunchi writes"),
    ("cell", "transformer", "`cell` is \"transformer\""),
    ("cell", "lstm", "where this network needs"),
    ("layers", "2", "`rnn.weight_ih_l1` is missing"),
    ("layers", "0", "at least one layer"),
    ("layers", "99999999999999999999", "a number up to"),
    ("layers", "1000000", "a number up to"),
    ("hidden", "25", "where this network needs"),
    ("hidden", "-1", "a number up to"),
    ("bidirectional", "true", "is missing"),
    ("bidirectional", "maybe", "true or false"),
    ("pooling", "median", "last, mean or max"),
    ("head", "softmax", "at least 2 outputs"),
    ("labels", "[\"good\",\"good\"]", "as many different labels"),
    ("labels", "[\"negative\"]", "as many different labels"),
    ("labels", "negative", "a JSON list"),
    ("max_tokens", "0", "max_tokens is 0"),
    ("max_tokens", "18446744073709551615", "a number up to"),
    ("temperature", "NaN", "positive number"),
    ("temperature", "0", "positive number"),
    ("normaliser", "nunchi-99", "unknown normaliser"),
    ("tokenizer.kind", "magic", "unknown tokenizer.kind"),
    ("tokenizer.data", "AQI", "base64"),
    ("tokenizer.data", "AQL/////", "too early"),
    ("golden", "[]", "golden comments"),
    ("golden", "[{\"text\":\"좋아요\",\"score\":1e999}]", "golden"),
];

#[test]
fn wrong_metadata_is_refused_with_its_name() {
    for (key, value, want) in METADATA {
        let said = refusal(&forge(|header, _| header["__metadata__"][key] = value.into()));
        assert!(said.contains(want), "{key} = {value}: {said}");
    }
    for key in ["nunchi.format", "cell", "labels", "tokenizer.data", "golden", "report", "name"] {
        let said = refusal(&forge(|header, _| {
            header["__metadata__"].as_object_mut().unwrap().remove(key);
        }));
        assert!(said.contains(&format!("lack `{key}`")), "{said}");
    }
}

#[test]
fn a_golden_comment_that_scores_otherwise_refuses_the_model() {
    for score in [0.0, 1.0] {
        let golden = json!([{ "text": "정말 좋아요", "score": score }]).to_string();
        let said = refusal(&forge(|header, _| header["__metadata__"]["golden"] = golden.into()));
        assert!(said.contains("golden comment"), "{said}");
    }
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    let said = refusal(&forge(|header, _| {
        let info = header.as_object_mut().unwrap().remove("head.bias").unwrap();
        header["head.other"] = info;
    }));
    assert!(said.contains("`head.other`"), "{said}");
    let said = refusal(&forge(|header, _| {
        let shape = header["embedding.weight"]["shape"].as_array_mut().unwrap();
        shape.reverse();
    }));
    assert!(said.contains("where this network needs") || said.contains("tokens"), "{said}");
    let said = refusal(&forge(|header, _| header["head.bias"]["dtype"] = "I16".into()));
    assert!(said.contains("I16"), "{said}");
    let said = refusal(&forge(|header, _| header["head.bias"]["dtype"] = "Q3".into()));
    assert!(said.contains("not a complete safetensors"), "{said}");
    // A row more than the tokenizer has tokens.
    let said = refusal(&forge(|header, tensors| {
        tensors.splice(0..0, [0; 32]);
        for info in header.as_object_mut().unwrap().values_mut().filter(|info| info.get("dtype").is_some()) {
            for end in info["data_offsets"].as_array_mut().unwrap() {
                *end = (end.as_u64().unwrap() + 32).into();
            }
        }
        let first = &mut header["embedding.weight"];
        first["data_offsets"][0] = 0.into();
        first["shape"][0] = (first["shape"][0].as_u64().unwrap() + 1).into();
    }));
    assert!(said.contains("tokens, but the embedding table has"), "{said}");
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    for bits in [0x7c00u16, 0xfc00, 0x7e00] {
        let said = refusal(&forge(|_, tensors| {
            let end = tensors.len();
            tensors[end - 2..].copy_from_slice(&bits.to_le_bytes());
        }));
        assert!(said.contains("infinite or not a number"), "{said}");
    }
    // 70,000 is finite until it is rounded to 16 bits.
    let mut model = testing::model(Cell::Simple, 1);
    model.network.head.bias[0] = 70_000.0;
    assert!(
        matches!(model.to_bytes(WeightFormat::F16), Err(ModelError::NotFinite(name)) if name == "head.bias")
    );
    assert!(model.to_bytes(WeightFormat::Bf16).is_ok());
}

#[test]
fn hostile_headers_are_refused_quickly() {
    let begin = std::time::Instant::now();
    for length in [u64::MAX, 1 << 40, 100_000_001, FILE.len() as u64] {
        let mut file = FILE.clone();
        file[..8].copy_from_slice(&length.to_le_bytes());
        refusal(&file);
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for header in [
        r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#.to_owned(),
        r#"{"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}}"#.to_owned(),
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#.to_owned(),
        r#"{"__metadata__":{"nunchi.format":1}}"#.to_owned(),
        r#"{"__metadata__":{"nunchi.format":"1"}}"#.to_owned(),
        r#"{"__metadata__":null}"#.to_owned(),
        "null".to_owned(),
        deep,
    ] {
        let said = refusal(&[&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat());
        assert!(said.len() < 400, "a refusal is a sentence: {said}");
    }
    assert!(begin.elapsed().as_secs() < 5);
}

#[test]
fn a_pytorch_state_dict_is_told_the_way() {
    let (mut header, tensors) = open(&FILE);
    header.as_object_mut().unwrap().remove("__metadata__");
    assert!(refusal(&close(&header, &tensors)).contains("nunchi models import"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_changed_byte_anywhere_is_refused(place in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut file = FILE.clone();
        let place = place.index(file.len());
        file[place] ^= flip;
        // White space in the header is the one thing that may change.
        if let Ok(model) = Model::from_bytes(&file) {
            prop_assert_eq!(model.version, Model::from_bytes(&FILE).unwrap().version);
        }
    }

    #[test]
    fn forged_changes_never_panic(places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let file = forge(|_, tensors| for (place, byte) in &places {
            let place = place.index(tensors.len());
            tensors[place] = *byte;
        });
        if let Err(error) = Model::from_bytes(&file) {
            let harmless = matches!(error, ModelError::Golden { .. } | ModelError::NotFinite(_));
            prop_assert!(harmless, "{}", error);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Model::from_bytes(&bytes).is_err());
    }
}

#[test]
fn golden_comments_that_would_need_much_memory_are_refused_before_any_is_taken() {
    // Each is spelled in 16,380 bytes, and runs of one character would be shortened.
    let text = "뷁쉙".repeat(2_730);
    let golden = vec![nunchi_model::Golden { text: text.clone(), score: 0.5 }; 256];
    let model = Model { golden, max_tokens: 65_536, ..testing::model(Cell::Gru, 7) };
    let error = model.to_bytes(WeightFormat::F32).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("its golden comments need") && error.contains("numbers at once"), "{error}");
    // And where a file says so.
    let said = refusal(&forge(|header, _| {
        let golden = json!(vec![json!({ "text": text, "score": 0.5 }); 256]);
        header["__metadata__"]["golden"] = golden.to_string().into();
        header["__metadata__"]["max_tokens"] = "65536".into();
    }));
    assert!(said.contains("its golden comments need"), "{said}");
}

/// A file whose checksum and golden scores are right, with `value` in its metadata: what a hostile author can make.
fn hostile(key: &str, value: String) -> Vec<u8> {
    forge(|header, _| header["__metadata__"][key] = value.into())
}

#[test]
fn hostile_but_consistent_files_are_refused_with_a_harmless_message() {
    let labels = |one: &str| serde_json::json!(["negative", one]).to_string();
    let golden = |text: String, count: usize| {
        serde_json::Value::from(vec![serde_json::json!({ "text": text, "score": 0.5 }); count]).to_string()
    };
    let files = [
        ("a name that clears the terminal", "name", "\u{1b}[2J\u{1b}]0;owned\u{7}".to_owned()),
        ("a name with a control of the second block", "name", "a\u{9b}31m".to_owned()),
        ("a name that turns the text around it", "name", "nunchi\u{202e}evil".to_owned()),
        ("a name of several lines", "name", "good\nERROR forged line".to_owned()),
        ("a name without end", "name", "n".repeat(1 << 20)),
        ("a label that steers a terminal", "labels", labels("posi\u{1b}[8mtive")),
        ("a report without end", "report", serde_json::json!({ "note": "r".repeat(2 << 20) }).to_string()),
        ("a report of endless depth", "report", "[".repeat(1 << 16) + &"]".repeat(1 << 16)),
        ("more tokens than memory", "max_tokens", "65537".to_owned()),
        ("more tokens than numbers", "max_tokens", "18446744073709551616".to_owned()),
        ("golden comments without end", "golden", golden("a".to_owned(), 100_000)),
        ("a golden comment without end", "golden", golden("a ".repeat(1 << 20), 1)),
        ("a temperature that divides by nothing", "temperature", "0".to_owned()),
    ];
    for (what, key, value) in files {
        let message = refusal(&hostile(key, value));
        assert!(message.len() < 600, "{what}: {} bytes", message.len());
        assert!(!message.contains(nunchi_text::steers_display), "{what}: {message:?}");
    }
    // What is bounded is accepted up to its bound.
    assert!(Model::from_bytes(&hostile("name", "가".repeat(66))).is_ok());
}

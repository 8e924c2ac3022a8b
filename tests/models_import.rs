//! `nunchi models import` makes a model of a PyTorch state dict, whatever its modules were called, and says what does not
//! fit.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use nunchi_model::rnn::{Cell, HeadKind, Network, Pooling, Shape};
use nunchi_model::{Model, ModelError, WeightFormat, import, testing};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;
use std::process::{Command, Output};

/// A state dict as `safetensors.torch.save_file` writes it, names changed by `rename`.
fn state_dict(network: &Network<f32>, rename: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = network
        .tensors()
        .into_iter()
        .filter_map(|(name, tensor)| {
            let bytes = tensor.iter().flat_map(|value| value.to_le_bytes()).collect();
            Some((rename(&name)?, tensor.shape().to_vec(), bytes))
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

fn same(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn options() -> import::Options {
    import::Options {
        name: "theirs".to_owned(),
        labels: None,
        max_tokens: 64,
        pooling: Pooling::Last,
        temperature: 1.0,
    }
}

fn refusal(state_dict: &[u8]) -> String {
    import::import(state_dict, testing::tokenizer(), options()).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn the_shape_follows_from_the_tensors() {
    for cell in [Cell::Bag, Cell::Simple, Cell::Gru, Cell::Lstm] {
        for (layers, bidirectional) in [(1, false), (3, false), (2, true)] {
            let mut shape = testing::shape(cell);
            if cell != Cell::Bag {
                shape = Shape { layers, bidirectional, ..shape };
            }
            let theirs = Model::random(shape, testing::tokenizer(), 8).unwrap();
            let pooling = shape.pooling;
            let dict = state_dict(&theirs.network, same);
            let ours = import::import(&dict, testing::tokenizer(), import::Options { pooling, ..options() })
                .unwrap();
            assert_eq!(ours.network.tensors(), theirs.network.tensors());
            assert_eq!((ours.network.shape.cell, ours.network.shape.layers), (cell, shape.layers));
            Model::from_bytes(&ours.to_bytes(WeightFormat::F16).unwrap().0).unwrap();
        }
    }
}

#[test]
fn modules_may_have_other_names() {
    let theirs = testing::model(Cell::Gru, 8);
    let dict = state_dict(&theirs.network, |name| {
        Some(name.replace("embedding", "encoder.emb").replace("rnn", "encoder.gru").replace("head", "fc"))
    });
    let ours = import::import(&dict, testing::tokenizer(), options()).unwrap();
    assert_eq!(ours.network.tensors(), theirs.network.tensors());
}

#[test]
fn rows_beyond_the_tokenizer_are_left_out_and_missing_rows_refused() {
    let ids = testing::tokenizer().vocabulary();
    let with_rows =
        |vocabulary| Network::random(Shape { vocabulary, ..testing::shape(Cell::Gru) }, 1).unwrap();
    let more =
        import::import(&state_dict(&with_rows(ids + 9), same), testing::tokenizer(), options()).unwrap();
    assert_eq!(more.network.embedding.nrows(), ids);
    Model::from_bytes(&more.to_bytes(WeightFormat::F32).unwrap().0).unwrap();
    assert!(
        refusal(&state_dict(&with_rows(ids - 1), same))
            .contains("not the one that the network was trained with")
    );
}

#[test]
fn what_does_not_fit_is_said() {
    let network = testing::model(Cell::Lstm, 1).network;
    let without = |left_out: &'static str| {
        state_dict(&network, move |name| (!name.contains(left_out)).then(|| name.to_owned()))
    };
    for (dict, want) in [
        (without("embedding"), "exactly one embedding"),
        (without("head.bias"), "linear layer"),
        (without("weight_hh"), "`rnn.weight_hh_l0` is missing"),
        (without("bias_hh"), "`rnn.bias_hh_l0` is missing"),
        (state_dict(&network, |name| Some(name.replace("bias_hh", "weight_hr"))), "belongs to no part"),
        (b"not a file".to_vec(), "not a complete safetensors"),
    ] {
        let said = refusal(&dict);
        assert!(said.contains(want), "{want}: {said}");
    }
    let wrong = import::Options { labels: Some(vec!["a".into(), "b".into(), "c".into()]), ..options() };
    let model = import::import(&without("nothing"), testing::tokenizer(), wrong).unwrap();
    assert!(matches!(model.to_bytes(WeightFormat::F32), Err(ModelError::Inconsistent(_))));
}

fn models_import(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nunchi"))
        .args(["models", "import"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn the_command_writes_a_model_that_loads() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let shape = Shape { head: HeadKind::Softmax, outputs: 3, ..testing::shape(Cell::Gru) };
    let theirs = Model::random(shape, testing::tokenizer(), 8).unwrap();
    std::fs::write(folder.join("dict.safetensors"), state_dict(&theirs.network, same)).unwrap();
    theirs.save(&folder.join("theirs.safetensors"), WeightFormat::F32).unwrap();
    let output = models_import(
        folder,
        &[
            "dict.safetensors",
            "--tokenizer",
            "theirs.safetensors",
            "--out",
            "ours.safetensors",
            "--labels",
            "하,중,상",
            "--max-tokens",
            "50",
        ],
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("gru (GRU)"));
    let ours = Model::load(&folder.join("ours.safetensors")).unwrap();
    assert_eq!(
        (ours.name.as_str(), ours.max_tokens, ours.labels),
        ("dict", 50, ["하", "중", "상"].map(str::to_owned).to_vec())
    );
    assert_eq!(ours.network.tensors(), theirs.network.tensors());
    for (arguments, code) in [
        (&["dict.safetensors", "--tokenizer", "dict.safetensors", "--out", "x"][..], 1),
        (&["none", "--tokenizer", "theirs.safetensors", "--out", "x"], 1),
        (
            &["dict.safetensors", "--tokenizer", "theirs.safetensors", "--out", "x", "--normaliser", "latin"],
            64,
        ),
    ] {
        assert_eq!(models_import(folder, arguments).status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_revised_model_has_the_same_weights_and_says_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.safetensors"), folder.path().join("new.safetensors"));
    let mut model = testing::model(Cell::Gru, 3);
    model.allow(nunchi_model::Precision::Bf16, serde_json::json!({ "labels_differ": 0 }));
    model.save(&old, WeightFormat::Bf16).unwrap();
    let before = Model::load(&old).unwrap();
    let revise = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_nunchi"))
            .args(["models", "revise", old.to_str().unwrap(), "--out", new.to_str().unwrap()])
            .args(more)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = revise(&["--normaliser", "nunchi-1", "--max-tokens", "300"]);
    assert_eq!(status, Some(0), "{said}");
    let after = Model::load(&new).unwrap();
    assert!(said.contains(&after.version) && after.version != before.version, "{said}");
    assert_eq!(after.network.tensors(), before.network.tensors());
    assert_eq!(after.stored_as(), before.stored_as());
    assert_eq!((after.max_tokens, after.tokenizer.normalizer().name()), (300, "nunchi-1"));
    assert_eq!((after.name.as_str(), after.temperature), (before.name.as_str(), before.temperature));
    // What was measured on other tokens no longer counts.
    assert!(before.allows(nunchi_model::Precision::Bf16) && !after.allows(nunchi_model::Precision::Bf16));
    assert_eq!(after.report["revisions"][0]["from"], before.version.as_str());
    assert_eq!(after.report["revisions"][0]["max_tokens"], 128);
    assert_eq!(revise(&[]).0, Some(64));
    assert_eq!(revise(&["--normaliser", "latin"]).0, Some(64));
    assert_eq!(revise(&["--max-tokens", "0"]).0, Some(1));
}

#[test]
fn an_average_has_the_mean_of_the_weights_and_names_its_models() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for seed in [1, 2, 3] {
        let mut model = testing::model(Cell::Gru, seed);
        model.temperature = [0.5, 1.0, 2.0][seed as usize - 1];
        model.allow(nunchi_model::Precision::Bf16, serde_json::json!({ "labels_differ": 0 }));
        model.save(Path::new(&file(&format!("{seed}.safetensors"))), WeightFormat::F16).unwrap();
    }
    testing::model(Cell::Lstm, 1).save(Path::new(&file("other.safetensors")), WeightFormat::F16).unwrap();
    let average = |models: &[&str], more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_nunchi"))
            .args(["models", "average"])
            .args(models.iter().map(|name| file(name)))
            .args(["--out", &file("mean.safetensors")])
            .args(more)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let all = ["1.safetensors", "2.safetensors", "3.safetensors"];
    let (status, said) = average(&all, &["--name", "mean"]);
    assert_eq!(status, Some(0), "{said}");
    let models = all.map(|name| Model::load(Path::new(&file(name))).unwrap());
    let mean = Model::load(Path::new(&file("mean.safetensors"))).unwrap();
    assert!(said.contains(&mean.version), "{said}");
    for (index, (name, tensor)) in mean.network.tensors().into_iter().enumerate() {
        for (position, value) in tensor.iter().enumerate() {
            let weights = models.each_ref().map(|model| {
                let tensors = model.network.tensors();
                f64::from(*tensors[index].1.iter().nth(position).unwrap())
            });
            let expected = WeightFormat::F16.round((weights.iter().sum::<f64>() / 3.0) as f32);
            assert_eq!(*value, expected, "{name}, {position}");
        }
    }
    assert!((mean.temperature - 1.0).abs() < 1e-6, "{}", mean.temperature);
    assert_eq!(mean.name, "mean");
    assert_eq!(mean.report["averaged"], serde_json::json!(models.each_ref().map(|model| &model.version)));
    assert!(!mean.allows(nunchi_model::Precision::Bf16), "measured on other weights");

    let (status, said) = average(&["1.safetensors", "other.safetensors"], &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("another shape than the first model"), "{said}");
    assert_eq!(average(&["1.safetensors"], &[]).0, Some(64));
}

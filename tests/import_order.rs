//! Imports run one way. Between crates Cargo sees to it; inside of a crate this test does: the product's modules form layers, and
//! no two files of any crate import each other, directly or through others.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The modules of the product, from the top down. A module may import from lower layers only, not from its own.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["http", "retraining", "replay", "dead_letters"],
    &["pipeline"],
    &["registry", "kafka"],
    &["record", "telemetry"],
    &["config"],
    &["samples", "stop"],
];

/// The crates, from the bottom up, and whether one may hold `unsafe`.
const CRATES: &[(&str, bool)] = &[
    ("nunchi-text", false),
    ("nunchi-model", false),
    ("nunchi-engine", true),
    ("nunchi-data", false),
    ("nunchi-eval", false),
    ("nunchi-train", false),
    ("nunchi-librdkafka", true),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_modules_of_the_product_import_from_lower_layers_only() {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut wrong = Vec::new();
    for file in Source::read_all(&root().join("src")) {
        let Some(module) = file.module.first() else { continue };
        let from = layer(module).unwrap_or_else(|| panic!("src/{module} stands in no layer of LAYERS"));
        for (line, import) in &file.imports {
            let Some(target) = import.first() else { continue };
            let Some(to) = layer(target) else { continue };
            if target != module && to <= from {
                wrong.push(format!("{}:{line}: {module} imports {}", file.path.display(), import.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that run upward or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_cycle() {
    let mut wrong = Vec::new();
    let crates = CRATES.iter().map(|(name, _)| root().join("crates").join(name).join("src"));
    for folder in crates.chain([root().join("src")]) {
        let files = Source::read_all(&folder);
        for cycle in cycles(&files) {
            wrong.push(format!("{}: {}", folder.display(), cycle.join(" -> ")));
        }
    }
    assert!(wrong.is_empty(), "files that import each other:\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_forbidden_outside_of_two_crates() {
    for (name, may_hold_unsafe) in CRATES {
        let text = std::fs::read_to_string(root().join("crates").join(name).join("src/lib.rs")).unwrap();
        assert_eq!(!text.contains("#![forbid(unsafe_code)]"), *may_hold_unsafe, "crates/{name}/src/lib.rs");
    }
    for file in ["src/lib.rs", "src/main.rs"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{file}");
    }
}

#[test]
fn every_crate_is_listed_and_depends_on_crates_below_it_only() {
    let folders: BTreeSet<String> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let listed: BTreeSet<String> = CRATES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(folders, listed);
    for (place, (name, _)) in CRATES.iter().enumerate() {
        let manifest = std::fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        for dependency in manifest["dependencies"].as_table().unwrap().keys() {
            let below = CRATES.iter().position(|(other, _)| other == dependency);
            assert!(below.is_none_or(|below| below < place), "{name} depends on {dependency}");
            let of_kafka = *name != "nunchi-librdkafka" && dependency.contains("rdkafka");
            assert!(!of_kafka && dependency != "tokio", "{name} depends on {dependency}");
        }
    }
}

/// A source file of a crate.
struct Source {
    path: PathBuf,
    /// Its module's path; empty for the root.
    module: Vec<String>,
    /// Lines and absolute paths (without `crate`) that it names.
    imports: Vec<(usize, Vec<String>)>,
}

impl Source {
    fn read_all(folder: &Path) -> Vec<Source> {
        let (mut sources, mut folders) = (Vec::new(), vec![folder.to_owned()]);
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    sources.push(Source::read(folder, path));
                }
            }
        }
        assert!(!sources.is_empty(), "{} holds no source", folder.display());
        sources
    }

    fn read(folder: &Path, path: PathBuf) -> Source {
        let relative = path.strip_prefix(folder).unwrap().with_extension("");
        let mut module: Vec<String> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // Tests inside of a file may look wherever they like; they stand at the end.
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let imports = paths(text)
            .into_iter()
            .filter_map(|(line, path)| Some((line, absolute(&module, &path)?)))
            .collect();
        Source { path, module, imports }
    }
}

/// All paths in `text` that begin with `crate` or `super`, groups expanded, with their lines.
fn paths(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for keyword in ["crate::", "super::"] {
        for (at, _) in text.match_indices(keyword) {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let is_comment = text[line_start..at].trim_start().starts_with("//");
            // `super::super::x` is found at its first `super`.
            if before.is_alphanumeric() || matches!(before, '_' | ':') || is_comment {
                continue;
            }
            let line = text[..at].matches('\n').count() + 1;
            found.extend(expand(&text[at..]).into_iter().map(|path| (line, path)));
        }
    }
    found
}

/// The paths at the beginning of `text`: one, or one for each member of a group.
fn expand(text: &str) -> Vec<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end > 0 {
            path.push(rest[..end].to_owned());
        }
        rest = &rest[end..];
        let Some(next) = rest.strip_prefix("::") else { return vec![path] };
        rest = next;
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let close = group
                .find(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth == 0
                })
                .unwrap_or(group.len());
            return members(&group[..close])
                .into_iter()
                .flat_map(expand)
                .map(|tail| path.iter().cloned().chain(tail).collect())
                .collect();
        }
    }
}

/// The members of a group, split at commas outside of inner groups.
fn members(group: &str) -> Vec<&str> {
    let mut depth = 0;
    group
        .split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        })
        .map(str::trim)
        .filter(|member| !member.is_empty())
        .collect()
}

/// The path from the crate's root.
fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
    if path.first()? == "crate" {
        return Some(path[1..].to_vec());
    }
    let ups = path.iter().take_while(|part| *part == "super").count();
    let base = module.len().checked_sub(ups)?;
    Some(module[..base].iter().chain(&path[ups..]).cloned().collect())
}

/// Groups of files that reach each other. A module and those inside of it count as one direction only: a parent names its
/// children by declaring them.
fn cycles(files: &[Source]) -> Vec<Vec<String>> {
    let modules: BTreeSet<Vec<String>> = files.iter().map(|file| file.module.clone()).collect();
    let mut edges: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for file in files {
        for (_, import) in &file.imports {
            let target = (0..=import.len())
                .rev()
                .map(|length| import[..length].to_vec())
                .find(|path| modules.contains(path));
            let Some(target) = target else { continue };
            let related = target.starts_with(&file.module) || file.module.starts_with(&target);
            if !related {
                edges.entry(file.module.clone()).or_default().insert(target);
            }
        }
    }
    let reach = |start: &Vec<String>| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start.clone()]);
        while let Some(next) = open.pop() {
            for target in edges.get(&next).into_iter().flatten() {
                if seen.insert(target.clone()) {
                    open.push(target.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<_, _> = edges.keys().map(|module| (module.clone(), reach(module))).collect();
    let mut cycles = BTreeSet::new();
    for (module, seen) in &reached {
        if seen.contains(module) {
            let group: Vec<String> = seen
                .iter()
                .filter(|other| reached.get(*other).is_some_and(|back| back.contains(module)))
                .map(|other| other.join("::"))
                .collect();
            cycles.insert(group);
        }
    }
    cycles.into_iter().collect()
}

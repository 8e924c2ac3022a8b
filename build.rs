//! Finds the one model in `models/` that becomes part of the binary.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=models");
    println!("cargo:rustc-check-cfg=cfg(shipped_model)");
    let root =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the project's folder"));
    let mut models: Vec<PathBuf> = std::fs::read_dir(root.join("models"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    models.sort();
    match models.as_slice() {
        [] => {}
        [model] => {
            println!("cargo:rustc-cfg=shipped_model");
            println!("cargo:rustc-env=NUNCHI_SHIPPED_MODEL={}", model.display());
        }
        _ => panic!("models/ must hold at most one *.safetensors, but holds {models:?}"),
    }
}

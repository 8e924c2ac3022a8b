//! `nunchi models verify`

use crate::cli::color::{Paint, Tone};
use crate::cli::exit::ExitStatus;
use crate::cli::model::{StoreArgs, resolve};
use crate::cli::printer::{errln, outln};
use crate::registry::VerificationResult;

/// Flags of `nunchi models verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// VERSIONs, aliases or current [default: every version and the promotion log]
    #[arg(value_name = "VERSION")]
    names: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
    /// Print a JSON object for each object checked: `what`, and `wrong` (null: no problem)
    #[arg(long)]
    json: bool,
}

/// Runs the command; exit status 1 if there is a problem.
pub fn run(args: Args) -> anyhow::Result<ExitStatus> {
    let store = super::open(&args.store)?;
    let mut all_valid = true;
    let paint = Paint::for_stdout();
    let mut print = |result: VerificationResult| {
        all_valid &= result.problem.is_none();
        if args.json {
            outln!("{}", serde_json::json!({ "what": result.subject, "wrong": result.problem }));
            return;
        }
        let mut line = String::new();
        match &result.problem {
            None => paint.paint(Tone::Good, "valid  ", &mut line),
            Some(_) => paint.paint(Tone::Bad, "INVALID", &mut line),
        }
        let problem = result
            .problem
            .map_or_else(String::new, |problem| format!(": {}", super::harmless(&problem, 400)));
        outln!("{line}  {}{problem}", result.subject);
    };
    if args.names.is_empty() {
        for found in store.list_versions()? {
            if found.complete {
                print(store.verify(&found.version)?);
            } else {
                errln!("{} has no manifest: publishing it was not finished", found.version);
            }
        }
        store.verify_log()?.into_iter().for_each(&mut print);
    } else {
        for name in &args.names {
            print(store.verify(&resolve(&store, name)?)?);
        }
    }
    Ok(if all_valid { ExitStatus::Done } else { ExitStatus::Failed })
}

//! The exit statuses of all commands: one table, and the one mapping from errors to them.

use crate::cli::publish::PublishError;
use crate::config::ConfigErrors;
use crate::dead_letters::DeadLetterError;
use crate::http::HttpError;
use crate::kafka::{BrokerError, ClientError};
use crate::pipeline::PipelineError;
use crate::registry::RegistryError;
use crate::replay::ReplayError;
use crate::retraining::RetrainError;
use nunchi_engine::EngineError;
use nunchi_model::ModelError;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::process::ExitCode;
use thiserror::Error;

/// How a process ends. The numbers from 64 to 78 are those of `sysexits.h`; those above 128 are a shell's for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitStatus {
    /// All was done. A service that drained after a request to stop ends with it too.
    Done = 0,
    /// Something failed that is no error of the command line.
    Failed = 1,
    /// `retrain`: the candidate was published, and not promoted.
    PublishedOnly = 10,
    /// `retrain`: the candidate did not pass its gate.
    Rejected = 11,
    /// `retrain`: there was too little to learn from.
    NotEnoughData = 12,
    /// Wrong usage or configuration.
    Usage = 64,
    /// Every partition is halted.
    AllHalted = 65,
    /// A bug: a worker died.
    Internal = 70,
    /// Another process took over the transactional id.
    Fenced = 75,
    /// The brokers refuse credentials or rights.
    Denied = 77,
    /// SIGINT came before the work was finished.
    Interrupted = 130,
    /// The reader of the output closed its pipe.
    ClosedPipe = 141,
    /// SIGTERM came before the work was finished.
    Terminated = 143,
}

impl ExitStatus {
    /// Every status, with what it means.
    const TABLE: [(ExitStatus, &'static str); 13] = [
        (ExitStatus::Done, "done"),
        (ExitStatus::Failed, "failed"),
        (ExitStatus::PublishedOnly, "retrain: published only"),
        (ExitStatus::Rejected, "retrain: rejected"),
        (ExitStatus::NotEnoughData, "retrain: not enough data"),
        (ExitStatus::Usage, "wrong usage or configuration"),
        (ExitStatus::AllHalted, "all partitions are halted"),
        (ExitStatus::Internal, "internal error: a worker died"),
        (ExitStatus::Fenced, "fenced by another process"),
        (ExitStatus::Denied, "the brokers refuse credentials or rights"),
        (ExitStatus::Interrupted, "interrupted (SIGINT) before the work was finished"),
        (ExitStatus::ClosedPipe, "the output was closed"),
        (ExitStatus::Terminated, "terminated (SIGTERM) before the work was finished"),
    ];

    /// The table for `--help`.
    pub(crate) fn help() -> String {
        let mut text = String::from("Exit status:\n");
        for (status, meaning) in Self::TABLE {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {:>3} {meaning}", status as u8);
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// The status of a command that ended with `error`.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.is::<UsageError>() || error.is::<ConfigErrors>() {
            return ExitStatus::Usage;
        }
        if error.is::<InternalError>() {
            return ExitStatus::Internal;
        }
        let known = [
            error.downcast_ref().map(of_pipeline),
            error.downcast_ref().map(of_replay),
            error.downcast_ref().map(of_dead_letters),
            error.downcast_ref().map(of_retraining),
            error.downcast_ref().map(of_registry),
            error.downcast_ref().map(of_engine),
            error.downcast_ref().map(of_http),
            error.downcast_ref().map(of_model),
            error.downcast_ref().map(of_publishing),
        ];
        known.into_iter().flatten().next().unwrap_or(ExitStatus::Failed)
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(status as u8)
    }
}

fn of_pipeline(error: &PipelineError) -> ExitStatus {
    match error {
        PipelineError::Configuration(_) => ExitStatus::Usage,
        PipelineError::Kafka(error) => of_client(error),
        PipelineError::Panicked(_) => ExitStatus::Internal,
        PipelineError::Halted { .. } | PipelineError::AllHalted { .. } => ExitStatus::AllHalted,
        _ => ExitStatus::Failed,
    }
}

fn of_client(error: &ClientError) -> ExitStatus {
    match error {
        ClientError::Configuration(_) => ExitStatus::Usage,
        ClientError::Authentication { .. } | ClientError::Authorization { .. } | ClientError::Tls(_) => {
            ExitStatus::Denied
        }
        ClientError::Fenced { .. } => ExitStatus::Fenced,
        _ => ExitStatus::Failed,
    }
}

fn of_broker(error: &BrokerError) -> ExitStatus {
    match error {
        BrokerError::Refused { error, .. } => of_client(error),
        _ => ExitStatus::Failed,
    }
}

fn of_replay(error: &ReplayError) -> ExitStatus {
    match error {
        ReplayError::Usage(_) => ExitStatus::Usage,
        ReplayError::Pipeline(error) => of_pipeline(error),
        ReplayError::Kafka(error) => of_broker(error),
        _ => ExitStatus::Failed,
    }
}

fn of_dead_letters(error: &DeadLetterError) -> ExitStatus {
    match error {
        DeadLetterError::Usage(_) => ExitStatus::Usage,
        DeadLetterError::Kafka(error) => of_broker(error),
        _ => ExitStatus::Failed,
    }
}

fn of_retraining(error: &RetrainError) -> ExitStatus {
    match error {
        RetrainError::Usage(_) => ExitStatus::Usage,
        RetrainError::Registry(error) => of_registry(error),
        RetrainError::History(error) => of_broker(error),
        RetrainError::Engine(error) => of_engine(error),
        _ => ExitStatus::Failed,
    }
}

fn of_registry(error: &RegistryError) -> ExitStatus {
    if error.is_usage() { ExitStatus::Usage } else { ExitStatus::Failed }
}

/// A certificate or a token is a setting; an address that is taken is not.
fn of_http(error: &HttpError) -> ExitStatus {
    match error {
        HttpError::Bind { .. } => ExitStatus::Failed,
        HttpError::Open { .. } | HttpError::Token { .. } | HttpError::Tls { .. } => ExitStatus::Usage,
    }
}

fn of_engine(error: &EngineError) -> ExitStatus {
    match error {
        EngineError::KernelUnknown(..)
        | EngineError::KernelUnavailable(..)
        | EngineError::NoCoverage { .. }
        | EngineError::BandLabels { .. } => ExitStatus::Usage,
        _ => ExitStatus::Failed,
    }
}

/// What is no regular file was named wrongly, as what does not exist; a file that is damaged was not.
fn of_model(error: &ModelError) -> ExitStatus {
    match error {
        ModelError::File { error, .. }
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::InvalidInput
            ) =>
        {
            ExitStatus::Usage
        }
        _ => ExitStatus::Failed,
    }
}

fn of_publishing(error: &PublishError) -> ExitStatus {
    match error {
        PublishError::Denied(error) => of_client(error),
        _ => ExitStatus::Failed,
    }
}

/// The errors of the command line, all at once. Ends the process with [`ExitStatus::Usage`].
#[derive(Debug, Error)]
#[error("{}", .0.join("\n        "))]
pub(crate) struct UsageError(pub(crate) Vec<String>);

impl UsageError {
    /// A single error.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        UsageError(vec![message.into()])
    }
}

/// A bug of this program. Ends the process with [`ExitStatus::Internal`].
#[derive(Debug, Error)]
#[error("{0}; this is a bug")]
pub(crate) struct InternalError(pub(crate) &'static str);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    #[test]
    fn the_table_is_the_contract() {
        let codes: Vec<u8> = ExitStatus::TABLE.iter().map(|(status, _)| *status as u8).collect();
        assert_eq!(codes, [0, 1, 10, 11, 12, 64, 65, 70, 75, 77, 130, 141, 143]);
        let meanings: BTreeSet<&str> = ExitStatus::TABLE.iter().map(|(_, meaning)| *meaning).collect();
        assert_eq!(meanings.len(), codes.len());
        let help = ExitStatus::help();
        assert!(help.starts_with("Exit status:\n    0 done\n    1 failed\n"), "{help}");
        assert!(help.contains("\n   64 wrong usage or configuration\n"), "{help}");
    }

    fn file_error(kind: ErrorKind) -> ModelError {
        ModelError::File { verb: "read", path: PathBuf::from("m"), error: kind.into() }
    }

    #[test]
    fn each_kind_of_error_has_its_status() {
        let fenced =
            || ClientError::Fenced { transactional_id: "a-b-0".to_owned(), reason: "fenced".to_owned() };
        let denied = || ClientError::Authentication { brokers: "a:1".to_owned(), reason: "no".to_owned() };
        let refused = || BrokerError::Refused { doing: "asking".to_owned(), error: Box::new(denied()) };
        let forbidden = || ClientError::Authorization { what: "writing".to_owned(), reason: "no".to_owned() };
        let cases: Vec<(anyhow::Error, ExitStatus)> = vec![
            (anyhow::anyhow!("something"), ExitStatus::Failed),
            (UsageError::new("x").into(), ExitStatus::Usage),
            (ConfigErrors::default().into(), ExitStatus::Usage),
            (InternalError("a thread panicked").into(), ExitStatus::Internal),
            (PipelineError::Configuration("x".to_owned()).into(), ExitStatus::Usage),
            (PipelineError::Panicked(0).into(), ExitStatus::Internal),
            (PipelineError::StopDeadline(1).into(), ExitStatus::Failed),
            (PipelineError::Kafka(fenced()).into(), ExitStatus::Fenced),
            (PipelineError::Kafka(denied()).into(), ExitStatus::Denied),
            (PipelineError::Kafka(forbidden()).into(), ExitStatus::Denied),
            (ReplayError::Usage("x".to_owned()).into(), ExitStatus::Usage),
            (ReplayError::State("x".to_owned()).into(), ExitStatus::Failed),
            (DeadLetterError::Usage("x".to_owned()).into(), ExitStatus::Usage),
            (DeadLetterError::State("x".to_owned()).into(), ExitStatus::Failed),
            (ReplayError::Pipeline(PipelineError::Kafka(fenced())).into(), ExitStatus::Fenced),
            (RetrainError::Usage("x".to_owned()).into(), ExitStatus::Usage),
            (RetrainError::Registry(RegistryError::NoStore).into(), ExitStatus::Usage),
            (RegistryError::NoStore.into(), ExitStatus::Usage),
            (RegistryError::NoFolder("x".to_owned()).into(), ExitStatus::Failed),
            (file_error(ErrorKind::NotFound).into(), ExitStatus::Usage),
            (file_error(ErrorKind::IsADirectory).into(), ExitStatus::Usage),
            (file_error(ErrorKind::PermissionDenied).into(), ExitStatus::Failed),
            (ModelError::Damaged("x".to_owned()).into(), ExitStatus::Failed),
            (EngineError::NoCoverage { version: "x".to_owned() }.into(), ExitStatus::Usage),
            (EngineError::BandLabels { labels: 3 }.into(), ExitStatus::Usage),
            (PublishError::Denied(denied()).into(), ExitStatus::Denied),
            (ReplayError::Kafka(refused()).into(), ExitStatus::Denied),
            (DeadLetterError::Kafka(refused()).into(), ExitStatus::Denied),
            (RetrainError::History(refused()).into(), ExitStatus::Denied),
            (RetrainError::History(BrokerError::NoTopic("x".to_owned())).into(), ExitStatus::Failed),
        ];
        for (error, want) in cases {
            assert_eq!(ExitStatus::of(&error), want, "{error:?}");
            // Added context changes nothing.
            assert_eq!(ExitStatus::of(&error.context("doing this").context("for that")), want);
        }
    }
}

//! One run, from the first record to the decision.

use super::comment::{Comment, classes};
use super::corrections::Corrections;
use super::gate::{Bands, Evidence, Set, Verdict};
use super::measure::{judge, speed};
use super::paired::Paired;
use super::pairs::{self, Pair};
use super::report::{Ending, Learned, Measured, Report};
use super::split::{Lesson, Parts, split};
use super::topics::{Collected, Window, collect};
use super::train::{Candidate, Recipe, train};
use super::{RetrainError, corrections, drift, files, flips, words};
use crate::config::{ClientProperties, Config};
use crate::engine::{Engine, Warm};
use crate::model::Model;
use crate::pipeline::Stop;
use crate::pipeline::replay::history::History;
use crate::registry::{Data, Draft, Entry, Gate, Log, Manifest, Remark, Store, Version};
use crate::training::data::Columns;
use crate::training::examples::{Source, file_name};
use crate::training::mapping::Target;
use crate::training::trainer::Progress;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Fewest comments of the rarer class, in all that is new and in what is measured with.
const LEAST_OF_CLASS: usize = 20;
const LEAST_OF_CLASS_IN_TEST: usize = 5;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Request {
    /// The settings: names of fields, brokers.
    pub config: Config,
    /// The kernel to judge with; the best one of this CPU unless named.
    pub kernel: Option<String>,
    /// The historical topics, and the window of time.
    pub window: Window,
    /// The topic of corrections.
    pub corrections: Option<String>,
    /// Files with new comments.
    pub data: Vec<Source>,
    /// Files with old comments, to be mixed in.
    pub mix: Vec<Source>,
    /// Most old comments, as a multiple of the new ones.
    pub mix_ratio: f64,
    /// Files with the golden set.
    pub golden: Vec<Source>,
    /// A file of pairs; the built-in ones unless named.
    pub pairs: Option<PathBuf>,
    /// How files are read.
    pub columns: Columns,
    /// Fewest new labelled comments.
    pub least: usize,
    /// Share of the new comments, the last in time, that is kept as test.
    pub test_share: f64,
    /// How to train.
    pub recipe: Recipe,
    /// The gate.
    pub bands: Bands,
    /// Whether to leave the promotion to somebody else.
    pub publish_only: bool,
    /// Who acts; empty: user@host.
    pub by: String,
}

/// A run that came to a decision.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What was found and decided.
    pub report: Report,
    /// What the store knows of the candidate.
    pub manifest: Option<Manifest>,
    /// The promotion.
    pub entry: Option<Entry>,
}

/// Everything that a run reads before it trains.
struct Material {
    collected: Collected,
    corrections: corrections::Counts,
    parts: Parts,
    golden: Vec<Comment>,
    pairs: Vec<Pair>,
    data: Data,
}

/// Runs once. `say` hears in words how it goes on; `progress` how training does.
///
/// # Errors
/// See [`RetrainError`]; nothing was published then, unless the sentence says so.
pub fn retrain(
    request: &Request,
    store: &Store,
    stop: &Stop,
    progress: impl FnOnce(usize) -> Box<dyn Progress + Send>,
    say: &dyn Fn(&str),
) -> Result<Finished, RetrainError> {
    let start = Start::new(request, store)?;
    let material = read(request, &start.current, say)?;
    if stop.requested() {
        return Err(RetrainError::Stopped);
    }
    if let Some(why) = too_little(request, &start.current, &material) {
        let report = start.report(request, &material, Ending::NotEnoughData, why);
        return Ok(Finished { report, manifest: None, entry: None });
    }
    let examples: usize = material.parts.lessons.iter().map(|lesson| lesson.comments.len()).sum();
    say(&format!(
        "training {} on {examples} comments, choosing on {}",
        if request.recipe.from_scratch { "a new network" } else { "the current network" },
        material.parts.dev.iter().map(|lesson| lesson.comments.len()).sum::<usize>()
    ));
    let progress = progress(examples);
    let candidate = train(&start.current, &material.parts, &request.recipe, &start.run, stop, progress)?;
    say(&format!("the candidate is {}; comparing it with {}", candidate.model.version, start.parent));
    let report = compare(request, &start, &material, &candidate)?;
    if stop.requested() {
        return Err(RetrainError::Stopped);
    }
    start.decide(request, store, candidate, report, material.data)
}

/// What was so when the run began.
struct Start {
    run: String,
    at: Timestamp,
    begin: Instant,
    log: Log,
    parent: Version,
    current: Model,
}

impl Start {
    fn new(request: &Request, store: &Store) -> Result<Self, RetrainError> {
        let at = Timestamp::now();
        let log = store.log()?;
        let parent = log.current().cloned();
        let parent = parent
            .ok_or_else(|| crate::registry::RegistryError::NothingPromoted(store.url().to_owned()))?;
        let current = store.load(&parent)?;
        if let Some(stars) = &request.window.stars
            && !request.window.topics.is_empty()
            && (stars.classes() != current.labels.len()
                || current.labels.iter().zip(0..).any(|(label, class)| label != stars.label(class)))
        {
            return Err(RetrainError::Usage(format!(
                "stars stand for negative and positive, but the labels of version {parent} are {}; --no-stars learns from \
                 corrections and files alone",
                current.labels.join(", ")
            )));
        }
        let run = format!("{}-{:04x}", at.strftime("%Y%m%d-%H%M%S"), rand::random::<u16>());
        Ok(Start { run, at, begin: Instant::now(), log, parent, current })
    }

    /// A report that tells of what was read, and nothing of a candidate yet.
    fn report(&self, request: &Request, material: &Material, ending: Ending, why: String) -> Report {
        let labels = self.current.labels.len();
        let learned = material.parts.lessons.iter().map(|lesson| Learned {
            name: lesson.name.clone(),
            weight: lesson.weight,
            classes: classes(&lesson.comments, labels),
        });
        Report {
            run: self.run.clone(),
            started_at: self.at,
            seconds: self.begin.elapsed().as_secs_f64(),
            training_seconds: 0.0,
            ending,
            why,
            parent: self.parent.to_string(),
            candidate: None,
            labels: self.current.labels.clone(),
            window: [request.window.from, request.window.to],
            data: material.data.clone(),
            records: material.collected.counts.clone(),
            corrections: material.corrections.clone(),
            learned: learned.collect(),
            dev: material.parts.dev.iter().map(|lesson| lesson.comments.len()).sum(),
            left_out: material.parts.left_out,
            recipe: request.recipe.clone(),
            bands: request.bands.clone(),
            sets: Vec::new(),
            pairs: Vec::new(),
            speed: [0.0; 2],
            verdict: Verdict::default(),
            flips: Vec::new(),
            words: Vec::new(),
            new_words: Vec::new(),
            drift: Vec::new(),
        }
    }

    /// Publishes the candidate, and promotes it if it passed.
    fn decide(
        mut self,
        request: &Request,
        store: &Store,
        candidate: Candidate,
        mut report: Report,
        data: Data,
    ) -> Result<Finished, RetrainError> {
        let passed = report.verdict.passed;
        if passed && !request.publish_only {
            // Found out before anything is written, too: whoever was faster has the word.
            self.still_current(store)?;
        }
        report.seconds = self.begin.elapsed().as_secs_f64();
        let draft = Draft {
            by: request.by.clone(),
            parent: Some(self.parent.clone()),
            data,
            parameters: serde_json::json!({ "recipe": request.recipe, "test_share": request.test_share }),
            gate: Some(Gate { passed, report: report.to_value() }),
            note: Some(report.why.clone()),
        };
        let manifest = store.publish(candidate.content, draft)?.manifest;
        if report.ending != Ending::Promoted {
            return Ok(Finished { report, manifest: Some(manifest), entry: None });
        }
        let remark = Remark { who: request.by.clone(), why: report.why.clone() };
        match store.promote_after(&self.log, &manifest.version, remark, false) {
            Ok(entry) => Ok(Finished { report, manifest: Some(manifest), entry: Some(entry) }),
            Err(crate::registry::RegistryError::LostRace(entry)) => {
                Err(RetrainError::Overtaken { parent: self.parent, entry })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the version that the candidate was compared with is current still.
    fn still_current(&mut self, store: &Store) -> Result<(), RetrainError> {
        store.read_on(&mut self.log)?;
        if self.log.current() == Some(&self.parent) {
            return Ok(());
        }
        let parent = self.parent.clone();
        match self.log.entries().last() {
            Some(entry) => Err(RetrainError::Overtaken { parent, entry: Box::new(entry.clone()) }),
            // The log is gone: another store stands in its place.
            None => Err(crate::registry::RegistryError::NothingPromoted(store.url().to_owned()).into()),
        }
    }
}

/// Reads everything: what is new, what is old, what is measured with.
fn read(request: &Request, current: &Model, say: &dyn Fn(&str)) -> Result<Material, RetrainError> {
    let seed = request.recipe.settings.seed;
    // Files first: a mistake in one shows at once.
    let pairs = match &request.pairs {
        Some(path) => pairs::read(path, &current.labels)?,
        None if current.labels == crate::model::SIGMOID_LABELS => pairs::built_in(),
        None => Vec::new(),
    };
    let mut columns = request.columns.clone();
    if let Target::Label { labels, .. } = &mut columns.target {
        labels.clone_from(&current.labels);
    }
    let mut data = Data::default();
    let mut file = |source: &Source, most: usize, old: bool| -> Result<Lesson, RetrainError> {
        let read = files::read(source, &columns, most, seed)?;
        data.files.push(read.file);
        Ok(Lesson { name: file_name(source), weight: read.weight, old, comments: read.comments })
    };
    let mut golden = Vec::new();
    for source in &request.golden {
        golden.extend(file(source, usize::MAX, false)?.comments);
    }
    let mut new = Vec::new();
    for source in &request.data {
        new.push(file(source, request.window.most, false)?);
    }
    let (collected, corrections) = read_topics(request, current)?;
    let counts = &collected.counts;
    if counts.records > 0 {
        say(&format!(
            "{} records in {}: {} labelled ({} by people), {} without a label, {} in between, {} unreadable",
            counts.records,
            request.window.topics.join(", "),
            collected.comments.len(),
            counts.corrected,
            counts.unlabelled,
            counts.between,
            counts.unreadable
        ));
    }
    if !collected.comments.is_empty() {
        let name = request.window.topics.join(", ");
        new.insert(0, Lesson { name, weight: 1.0, old: false, comments: collected.comments.clone() });
    }
    let count: usize = new.iter().map(|lesson| lesson.comments.len()).sum();
    let most = ((count as f64 * request.mix_ratio) as usize).max(1);
    let mut old = Vec::new();
    for source in &request.mix {
        old.push(file(source, most / request.mix.len(), true)?);
    }
    data.topics = collected.ranges.iter().chain(&corrections.ranges).cloned().collect();
    let parts = split(new, old, &golden, request.test_share);
    Ok(Material { collected, corrections: corrections.counts, parts, golden, pairs, data })
}

fn read_topics(request: &Request, current: &Model) -> Result<(Collected, Corrections), RetrainError> {
    if request.window.topics.is_empty() {
        return Ok((Collected::default(), Corrections::default()));
    }
    let clients = ClientProperties::resolve(&request.config)
        .map_err(|mistakes| RetrainError::Usage(mistakes.to_string()))?;
    let history = History::connect(&clients)?;
    let corrections = match &request.corrections {
        Some(topic) => Corrections::read(&history, topic, &current.labels)?,
        None => Corrections::default(),
    };
    Ok((collect(&history, &request.window, &corrections, &request.config)?, corrections))
}

/// Why nothing can be learned or measured, if so.
fn too_little(request: &Request, current: &Model, material: &Material) -> Option<String> {
    let new = material.collected.comments.len();
    let files: usize = material.data.files.len();
    let labels = current.labels.len();
    let learned: Vec<&Lesson> = material.parts.new_lessons().collect();
    let all: usize =
        learned.iter().map(|lesson| lesson.comments.len()).sum::<usize>() + material.parts.test.len();
    if all < request.least {
        return Some(format!(
            "{all} new labelled comments are too few, {} are needed (--least); {new} came from topics, {files} files were read",
            request.least
        ));
    }
    let mut counts = classes(&material.parts.test, labels);
    let test = material.parts.test.len();
    if let Some(class) = rarest(&counts).filter(|&class| counts[class] < LEAST_OF_CLASS_IN_TEST) {
        return Some(format!(
            "of the last {test} comments, which would measure, {} are {}: with one class alone nothing can be measured",
            counts[class], current.labels[class]
        ));
    }
    for lesson in &learned {
        let of_lesson = classes(&lesson.comments, labels);
        counts.iter_mut().zip(of_lesson).for_each(|(count, more)| *count += more);
    }
    rarest(&counts).filter(|&class| counts[class] < LEAST_OF_CLASS).map(|class| {
        format!(
            "of {all} new comments {} are {}: with one class alone nothing can be learned",
            counts[class], current.labels[class]
        )
    })
}

/// The class with the fewest comments.
fn rarest(counts: &[usize]) -> Option<usize> {
    (0..counts.len()).min_by_key(|&class| counts[class])
}

/// Measures both models and asks the gate.
fn compare(
    request: &Request,
    start: &Start,
    material: &Material,
    candidate: &Candidate,
) -> Result<Report, RetrainError> {
    let engine = |model: &Model| -> Result<Engine, RetrainError> {
        Ok(Engine::new(Arc::new(Warm::new(model.clone(), request.kernel.as_deref())?)))
    };
    let (mut current, mut new) = (engine(&start.current)?, engine(&candidate.model)?);
    let parts = &material.parts;
    let mut both = |comments: &[Comment]| [judge(&mut current, comments), judge(&mut new, comments)];
    let fresh = both(&parts.test);
    let golden = (!material.golden.is_empty()).then(|| both(&material.golden));
    let tallies = pairs::tally([&mut current, &mut new], &material.pairs);
    let speed = speed([&mut current, &mut new], &parts.test);
    let evidence = Evidence {
        fresh: Set { name: "fresh", current: &fresh[0], candidate: &fresh[1] },
        golden: golden.as_ref().map(|[current, candidate]| Set { name: "golden", current, candidate }),
        pairs: &tallies,
        speed,
    };
    let verdict = request.bands.judge(&evidence);
    let ending = match (verdict.passed, request.publish_only) {
        (false, _) => Ending::Rejected,
        (true, true) => Ending::Published,
        (true, false) => Ending::Promoted,
    };
    let why = reason(start, &verdict, &evidence);
    let mut report = start.report(request, material, ending, why);
    let labels = &start.current.labels;
    for (set, comments) in
        [Some((&evidence.fresh, &parts.test)), evidence.golden.as_ref().map(|set| (set, &material.golden))]
            .into_iter()
            .flatten()
    {
        let (count, shown) = flips::flips(set.name, comments, labels, [set.current, set.candidate]);
        report.flips.extend(shown);
        report.sets.push(Measured {
            name: set.name.to_owned(),
            current: set.current.metrics,
            candidate: set.candidate.metrics,
            paired: Paired::of(&set.current.outcomes, &set.candidate.outcomes),
            flips: count,
        });
    }
    report.candidate = Some(candidate.model.version.clone());
    report.training_seconds = Duration::as_secs_f64(&candidate.took);
    (report.pairs, report.speed, report.verdict) = (tallies, speed, verdict);
    describe_input(material, &mut report, [&mut current, &mut new]);
    Ok(report)
}

/// Words and drift.
fn describe_input(
    material: &Material,
    report: &mut Report,
    [current, new]: [&mut Engine; 2],
) {
    let (parts, labels) = (&material.parts, report.labels.len());
    let learned: Vec<Comment> =
        parts.new_lessons().flat_map(|lesson| lesson.comments.iter().cloned()).collect();
    let fresh = || learned.iter().chain(&parts.test);
    let old: Vec<Comment> = parts
        .lessons
        .iter()
        .filter(|lesson| lesson.old)
        .flat_map(|lesson| lesson.comments.iter().cloned())
        .collect();
    if labels == 2 {
        report.words = words::moved([current, new], fresh());
    }
    let known = if old.is_empty() { &material.golden } else { &old };
    report.new_words = words::new_words(fresh(), known.iter());
    for (name, comments) in [
        ("old, mixed in", &old),
        ("golden", &material.golden),
        ("new, learned", &learned),
        ("new, the last part", &parts.test),
    ] {
        if !comments.is_empty() {
            report.drift.push(drift::part(name, comments, labels, current));
        }
    }
}

/// The decision in one line, for the log and for people.
fn reason(start: &Start, verdict: &Verdict, evidence: &Evidence<'_>) -> String {
    if !verdict.passed {
        return format!("did not pass the gate against {}: {}", start.parent, verdict.reasons());
    }
    let sets = [Some(&evidence.fresh), evidence.golden.as_ref()].into_iter().flatten().map(|set| {
        format!(
            "{} {:.2} → {:.2} %",
            set.name,
            set.current.metrics.accuracy * 100.0,
            set.candidate.metrics.accuracy * 100.0
        )
    });
    format!("retrained from {}, passed the gate: {}", start.parent, sets.collect::<Vec<_>>().join(", "))
}

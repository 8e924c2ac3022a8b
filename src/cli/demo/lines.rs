//! The demo without a terminal: one line a verdict, one a dead letter, a summary at the end.

use super::screen::{grouped, milliseconds};
use super::stats::{Event, Stats};
use crate::cli::printer::write_bytes;
use std::fmt::Write as _;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Longest wait for an event.
const PAUSE: Duration = Duration::from_millis(50);

/// Prints what comes out of `events` until `done` or until standard output takes no more.
pub fn show(events: &Receiver<Event>, mut done: impl FnMut() -> bool) -> Stats {
    let mut text = String::new();
    let mut stats = Stats::new(Instant::now());
    loop {
        // Asked before the channel is emptied, so that nothing is left in it at the end.
        let last = done();
        let mut next = events.recv_timeout(PAUSE).ok();
        while let Some(event) = next {
            stats.add(&event, Instant::now());
            text.push_str(&line(&event));
            text.push('\n');
            next = events.try_recv().ok();
        }
        if !write_bytes(text.as_bytes()) || last {
            return stats;
        }
        text.clear();
    }
}

/// One line for `event`, without the end of line.
pub fn line(event: &Event) -> String {
    let one_line = |text: &str| text.replace(nunchi_text::steers_display, " ");
    match event {
        Event::Verdict(verdict) => {
            let label = if verdict.positive { "positive" } else { "negative" };
            let stars = verdict.rating.map_or("?".to_owned(), |rating| rating.to_string());
            format!("{label}  {:.4}  {stars}★  {}", verdict.score, one_line(&verdict.text))
        }
        Event::DeadLetter(dead_letter) => {
            format!("dead letter  {}  {}", dead_letter.class, one_line(&dead_letter.error))
        }
    }
}

/// What was seen, for the end.
pub fn summary(stats: &Stats, published: u64, now: Instant) -> String {
    let seconds = stats.elapsed(now).as_secs_f64();
    let answered = stats.verdicts() + stats.dead();
    let mut text = format!(
        "{} records published, {} answered in {seconds:.1} s: {} verdicts, {} dead letters\n",
        grouped(published),
        grouped(answered),
        grouped(stats.verdicts()),
        grouped(stats.dead()),
    );
    for (class, count) in &stats.dead_letters {
        let _ = writeln!(text, "  {class}: {count}");
    }
    if let (Some(share), Some(p50), Some(p99)) =
        (stats.positive_share(), stats.latency(0.5), stats.latency(0.99))
    {
        let _ = write!(text, "{:.1} % positive", share * 100.0);
        if let Some(agreement) = stats.agreement() {
            let _ = write!(text, ", {:.1} % agree with the stars", agreement * 100.0);
        }
        let _ = writeln!(
            text,
            "; from publishing to reading the verdict: p50 {}, p99 {}",
            milliseconds(p50),
            milliseconds(p99)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::stats::{DeadLetter, Verdict};
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_verdict_is_one_line_and_the_summary_counts() {
        let now = Instant::now();
        let mut stats = Stats::new(now);
        let verdict = Event::Verdict(Verdict {
            text: "좋아요\n또 살게요".into(),
            rating: Some(5),
            positive: true,
            score: 0.98765,
            model: "m".into(),
            latency: Some(Duration::from_millis(4)),
        });
        let dead_letter =
            Event::DeadLetter(DeadLetter { class: "invalid_utf8".into(), error: "byte 3 is invalid".into() });
        assert_eq!(line(&verdict), "positive  0.9877  5★  좋아요 또 살게요");
        assert_eq!(line(&dead_letter), "dead letter  invalid_utf8  byte 3 is invalid");
        stats.add(&verdict, now);
        stats.add(&dead_letter, now);
        assert_eq!(
            summary(&stats, 2, now + Duration::from_secs(2)),
            "2 records published, 2 answered in 2.0 s: 1 verdicts, 1 dead letters\n  invalid_utf8: 1\n\
             100.0 % positive, 100.0 % agree with the stars; from publishing to reading the verdict: p50 4.0 ms, \
             p99 4.0 ms\n"
        );
    }
}

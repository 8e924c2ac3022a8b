//! The demo's picture: four panels of statistics, the comments with their verdicts below. Draws from [`Screen`] alone.

use super::stats::{DeadLetter, Event, Stats, Verdict};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Sparkline};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use unicode_width::UnicodeWidthChar;

/// Comments kept for the list; more rows than a screen has.
const KEPT: usize = 200;
/// Verdicts between two dead letters of the list, at least.
const DEAD_LETTER_EVERY: usize = 7;
/// Width of a score's bar.
const BAR: usize = 8;

const ACCENT: Color = Color::Indexed(75);
const DIM: Color = Color::Indexed(244);
const FRAME: Color = Color::Indexed(239);
const POSITIVE: Color = Color::Indexed(78);
const NEGATIVE: Color = Color::Indexed(204);
const BROKEN: Color = Color::Indexed(141);
const STARS: Color = Color::Indexed(179);

/// The texts at the edges of the screen.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The model's name.
    pub model: String,
    /// Its VERSION.
    pub version: String,
    /// The engine's kernel.
    pub kernel: String,
    /// Worker threads.
    pub workers: usize,
    /// Where `/metrics` is, as a URL.
    pub metrics_url: String,
    /// When the demo ends by itself.
    pub ends_after: Option<Duration>,
}

/// Everything that is drawn.
#[derive(Debug)]
pub struct Screen {
    /// The texts at the edges.
    pub about: About,
    /// The statistics.
    pub stats: Stats,
    /// What is shown of the stream, the newest last.
    shown: VecDeque<Event>,
    /// The last event, when too many come to show all.
    waiting: Option<Event>,
    /// Verdicts on the list since its last dead letter.
    verdicts_in_a_row: usize,
    shown_at: Instant,
    /// Whether the list is paused (the statistics go on).
    pub paused: bool,
}

impl Screen {
    /// An empty picture.
    pub fn new(about: About, now: Instant) -> Self {
        Screen {
            about,
            stats: Stats::new(now),
            shown: VecDeque::new(),
            waiting: None,
            // The first dead letter is shown at once.
            verdicts_in_a_row: DEAD_LETTER_EVERY,
            shown_at: now,
            paused: false,
        }
    }

    /// Counts `event`, and puts it on the list if the rate is low enough to read: a few a second are shown, all are counted.
    pub fn add(&mut self, event: Event, now: Instant) {
        const EYE: Duration = Duration::from_millis(180);
        self.stats.add(&event, now);
        // A rare dead letter is not displaced by the next verdict, but many of them do not fill the list.
        let rare = self.verdicts_in_a_row >= DEAD_LETTER_EVERY;
        match (&self.waiting, &event) {
            (Some(Event::DeadLetter(_)), Event::Verdict(_)) => {}
            (_, Event::DeadLetter(_)) if !rare => {}
            _ => self.waiting = Some(event),
        }
        if self.paused || now.saturating_duration_since(self.shown_at) < EYE && self.shown.len() >= 40 {
            return;
        }
        if let Some(event) = self.waiting.take() {
            self.shown_at = now;
            self.verdicts_in_a_row = match event {
                Event::Verdict(_) => self.verdicts_in_a_row + 1,
                Event::DeadLetter(_) => 0,
            };
            self.shown.push_back(event);
            if self.shown.len() > KEPT {
                self.shown.pop_front();
            }
        }
    }

    /// Draws everything.
    pub fn draw(&self, frame: &mut Frame<'_>, now: Instant) {
        let [title, panels, list, footer] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(5),
            Constraint::Min(3),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        self.draw_title(frame, title, now);
        let [speed, latency, sentiment, dead] = Layout::horizontal([Constraint::Fill(1); 4]).areas(panels);
        self.draw_speed(frame, speed);
        self.draw_latency(frame, latency);
        self.draw_sentiment(frame, sentiment);
        self.draw_dead_letters(frame, dead);
        self.draw_list(frame, list);
        self.draw_footer(frame, footer);
    }

    fn draw_title(&self, frame: &mut Frame<'_>, area: Rect, now: Instant) {
        let clock = match self.about.ends_after {
            Some(end) => format!("{} / {} ", clock(self.stats.elapsed(now)), clock(end)),
            None => format!("{} ", clock(self.stats.elapsed(now))),
        };
        let [left, right] =
            Layout::horizontal([Constraint::Min(0), Constraint::Length(clock.len() as u16)]).areas(area);
        let title = Line::from(vec![
            Span::styled(" nunchi 눈치 ", Style::new().fg(ACCENT).add_modifier(Modifier::BOLD)),
            Span::styled("sentiment of Korean product comments, live", Style::new().fg(DIM)),
        ]);
        frame.render_widget(title, left);
        frame.render_widget(Line::from(clock).fg(DIM), right);
    }

    fn draw_speed(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = panel("speed");
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let [rate, curve, total] = Layout::vertical([Constraint::Length(1); 3]).areas(inner);
        frame.render_widget(big(format!("{:.0}", self.stats.rate()), " comments/s"), rate);
        let data = self.stats.curve(curve.width.into());
        let indent = curve.width.saturating_sub(data.len() as u16);
        let curve = Rect { x: curve.x + indent, width: curve.width - indent, ..curve };
        frame.render_widget(Sparkline::default().data(&data).style(Style::new().fg(ACCENT)), curve);
        frame.render_widget(note(format!("{} verdicts", grouped(self.stats.verdicts()))), total);
    }

    fn draw_latency(&self, frame: &mut Frame<'_>, area: Rect) {
        let quantile = |name: &'static str, quantile| {
            let value = self.stats.latency(quantile).map_or("–".to_owned(), milliseconds);
            Line::from(vec![Span::styled(name, Style::new().fg(DIM)), Span::from(value).bold()])
        };
        let lines = vec![quantile("p50 ", 0.5), quantile("p99 ", 0.99), note("published to read".into())];
        frame.render_widget(Paragraph::new(lines).block(panel("latency")), area);
    }

    fn draw_sentiment(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = panel("sentiment");
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let Some(share) = self.stats.positive_share() else {
            return;
        };
        let width = usize::from(inner.width);
        let filled = (share * width as f64).round() as usize;
        let bar = Line::from(vec![
            Span::styled("█".repeat(filled), Style::new().fg(POSITIVE)),
            Span::styled("█".repeat(width.saturating_sub(filled)), Style::new().fg(NEGATIVE)),
        ]);
        let left = format!("{:.0} % ▲", share * 100.0);
        let right = format!("▼ {:.0} %", 100.0 - (share * 100.0).round());
        let gap = width.saturating_sub(left.chars().count() + right.chars().count());
        let shares = Line::from(vec![
            Span::styled(left, Style::new().fg(POSITIVE).bold()),
            Span::from(" ".repeat(gap)),
            Span::styled(right, Style::new().fg(NEGATIVE).bold()),
        ]);
        let agreement = self
            .stats
            .agreement()
            .map_or(String::new(), |share| format!("{:.0} % agree with ★", share * 100.0));
        frame.render_widget(Paragraph::new(vec![bar, shares, note(agreement)]), inner);
    }

    fn draw_dead_letters(&self, frame: &mut Frame<'_>, area: Rect) {
        let mut lines = vec![big(grouped(self.stats.dead()), " total")];
        let mut classes: Vec<_> = self.stats.dead_letters.iter().collect();
        classes.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        lines.extend(classes.into_iter().take(2).map(|(class, count)| note(format!("{count} {class}"))));
        frame.render_widget(Paragraph::new(lines).block(panel("dead letters")), area);
    }

    fn draw_list(&self, frame: &mut Frame<'_>, area: Rect) {
        let title = if self.paused { "comments (paused)" } else { "comments" };
        let block = panel(title);
        let inner = block.inner(area);
        frame.render_widget(block, area);
        if self.shown.is_empty() {
            let text = note("the workers join their consumer group; the first verdicts follow …".into());
            frame.render_widget(text, inner);
            return;
        }
        let rows = usize::from(inner.height);
        let newest = self.shown.iter().skip(self.shown.len().saturating_sub(rows));
        let lines: Vec<Line<'_>> = newest
            .map(|event| match event {
                Event::Verdict(verdict) => verdict_line(verdict, inner.width.into()),
                Event::DeadLetter(dead_letter) => dead_letter_line(dead_letter, inner.width.into()),
            })
            .collect();
        frame.render_widget(Paragraph::new(lines), inner);
    }

    fn draw_footer(&self, frame: &mut Frame<'_>, area: Rect) {
        let about = &self.about;
        let workers = if about.workers == 1 { "worker" } else { "workers" };
        let tail = format!("{} · {} {workers}", about.kernel, about.workers);
        let long = format!(" {} {} · {tail}", about.model, about.version);
        let short = format!(" {} · {tail}", about.model);
        let url = about.metrics_url.as_str();
        let bare = url.trim_start_matches("http://");
        // What does not fit is left out, the least important first.
        let ways = [
            (&long, url, "space pauses · q quits "),
            (&long, url, "q quits "),
            (&long, bare, "q quits "),
            (&short, bare, "q quits "),
            (&short, "", "q quits "),
        ];
        let width = usize::from(area.width);
        let fits =
            |way: &(&String, &str, &str)| width_of(way.0) + 3 + width_of(way.1) + width_of(way.2) < width;
        let (facts, url, keys) = ways.into_iter().find(fits).unwrap_or((&short, "", ""));
        let mut spans = vec![Span::styled(facts.clone(), Style::new().fg(DIM))];
        if !url.is_empty() {
            spans.push(Span::styled(" · ", Style::new().fg(DIM)));
            spans.push(Span::styled(url.to_owned(), Style::new().fg(ACCENT)));
        }
        let used: usize = spans.iter().map(Span::width).sum();
        spans.push(Span::from(" ".repeat(width.saturating_sub(used + width_of(keys)))));
        spans.push(Span::styled(keys, Style::new().fg(DIM)));
        frame.render_widget(Line::from(spans), area);
    }
}

fn panel(title: &'static str) -> Block<'static> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(Style::new().fg(FRAME))
        .title(Line::from(format!(" {title} ")).fg(DIM))
}

fn big(number: String, unit: &'static str) -> Line<'static> {
    Line::from(vec![Span::from(number).bold(), Span::styled(unit, Style::new().fg(DIM))])
}

fn note(text: String) -> Line<'static> {
    Line::from(text).fg(DIM)
}

/// From red over amber to green.
fn score_color(score: f64) -> Color {
    const STEPS: [u8; 7] = [204, 210, 216, 222, 186, 150, 78];
    Color::Indexed(STEPS[((score * STEPS.len() as f64) as usize).min(STEPS.len() - 1)])
}

fn verdict_line(verdict: &Verdict, width: usize) -> Line<'static> {
    let color = score_color(verdict.score);
    let mark = if verdict.positive { "▲" } else { "▼" };
    let filled = ((verdict.score * BAR as f64).round() as usize).min(BAR);
    let stars = usize::from(verdict.rating.unwrap_or(0)).min(5);
    let head = 1 + 2 + 5 + BAR + 1 + 6;
    Line::from(vec![
        Span::styled(format!(" {mark} "), Style::new().fg(color)),
        Span::styled(format!("{:.2} ", verdict.score), Style::new().fg(color).bold()),
        Span::styled("━".repeat(filled), Style::new().fg(color)),
        Span::styled("━".repeat(BAR - filled), Style::new().fg(Color::Indexed(237))),
        Span::styled(format!(" {}", "★".repeat(stars)), Style::new().fg(STARS)),
        Span::styled(format!("{} ", "·".repeat(5 - stars)), Style::new().fg(FRAME)),
        Span::from(cut(&verdict.text, width.saturating_sub(head + 1))),
    ])
}

fn dead_letter_line(dead_letter: &DeadLetter, width: usize) -> Line<'static> {
    let head = format!(" ✗ {:<20}  ", dead_letter.class);
    let text = cut(&dead_letter.error, width.saturating_sub(head.chars().count()));
    Line::from(vec![
        Span::styled(head, Style::new().fg(BROKEN)),
        Span::styled(text, Style::new().fg(BROKEN).add_modifier(Modifier::ITALIC)),
    ])
}

/// `text` on one line of at most `width` columns: wide letters take two, and what was cut ends in `…`.
pub(super) fn cut(text: &str, width: usize) -> String {
    let mut line = String::with_capacity(text.len());
    let mut used = 0;
    for letter in text.chars().map(|letter| if nunchi_text::steers_display(letter) { ' ' } else { letter }) {
        let columns = letter.width().unwrap_or(0);
        if used + columns > width {
            // Room for the dots.
            while used + 1 > width {
                let Some(last) = line.pop() else { return line };
                used -= last.width().unwrap_or(0);
            }
            line.push('…');
            return line;
        }
        used += columns;
        line.push(letter);
    }
    line
}

fn width_of(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

fn clock(time: Duration) -> String {
    format!("{:02}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

pub(super) fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 100.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// `12345` as `12,345`.
pub(super) fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn screen(now: Instant) -> Screen {
        let about = About {
            model: "reviews".into(),
            version: "0123456789ab".into(),
            kernel: "avx2".into(),
            workers: 2,
            metrics_url: "http://127.0.0.1:9600/metrics".into(),
            ends_after: Some(Duration::from_secs(90)),
        };
        let mut screen = Screen::new(about, now);
        let texts = ["니트가 진짜 부드러워요\n색감도 사진이랑 똑같아요", &"가".repeat(200), "👍👍👍"];
        for (index, text) in texts.into_iter().enumerate() {
            screen.add(
                Event::Verdict(Verdict {
                    text: text.into(),
                    rating: Some(5),
                    positive: index > 0,
                    score: index as f64 / 2.0,
                    model: "0123456789ab".into(),
                    latency: Some(Duration::from_micros(3_210)),
                }),
                now,
            );
        }
        screen.add(
            Event::DeadLetter(DeadLetter { class: "invalid_json".into(), error: "it ends too early".into() }),
            now,
        );
        screen
    }

    fn drawn(width: u16, height: u16) -> String {
        let now = Instant::now();
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen(now).draw(frame, now)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn shows_comments_numbers_and_where_the_metrics_are() {
        let picture = drawn(120, 40);
        for wanted in [
            "니트가 진짜 부드러워요 색감도",
            "★★★★★",
            "invalid_json",
            "it ends too early",
            "3.2 ms",
            "67 % ▲",
            "3 verdicts",
            "1 total",
            "avx2",
            "http://127.0.0.1:9600/metrics",
            "00:00 / 01:30",
        ] {
            assert!(picture.contains(wanted), "{wanted:?} is missing in\n{picture}");
        }
    }

    #[test]
    fn draws_at_every_size() {
        for (width, height) in [(1, 1), (20, 5), (40, 10), (80, 24), (300, 100)] {
            drawn(width, height);
        }
    }

    #[test]
    fn long_comments_are_cut_at_the_edge_whatever_their_width() {
        assert_eq!(cut("가나다라", 8), "가나다라");
        assert_eq!(cut("가나다라", 7), "가나다…");
        assert_eq!(cut("가나다라", 6), "가나…");
        assert_eq!(cut("abc", 2), "a…");
        assert_eq!(cut("가", 1), "…");
        assert_eq!(cut("가", 0), "");
        assert_eq!(cut("a\nb", 9), "a b");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}

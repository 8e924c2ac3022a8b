//! The demo in a terminal: draws the screen, handles keys, and always restores the terminal.

use super::screen::{About, Screen};
use super::stats::{Event, Stats};
use anyhow::Context;
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use std::io::IsTerminal;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Time between two pictures.
const FRAME: Duration = Duration::from_millis(66);

/// Whether standard input and output are a terminal that can draw.
pub fn usable() -> bool {
    let able = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    able && std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
}

/// Draws what comes out of `events` until `done` or until a key quits.
///
/// # Errors
/// The terminal refuses.
pub fn show(about: About, events: &Receiver<Event>, mut done: impl FnMut() -> bool) -> anyhow::Result<Stats> {
    // From here on a panic on any thread restores the terminal before it is reported.
    let mut terminal = ratatui::try_init().context("the terminal cannot be drawn on; try --plain")?;
    let mut screen = Screen::new(about, Instant::now());
    let result = loop {
        // Asked before the channel is emptied, so that nothing is left in it at the end.
        let last = done();
        while let Ok(event) = events.try_recv() {
            screen.add(event, Instant::now());
        }
        let now = Instant::now();
        screen.stats.advance(now);
        if let Err(error) = terminal.draw(|frame| screen.draw(frame, now)) {
            break Err(error).context("drawing");
        }
        match quits(&mut screen) {
            Ok(false) if !last => {}
            Ok(_) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    ratatui::restore();
    result.map(|()| screen.stats)
}

/// Waits for keys until the next picture is due; whether one of them quits.
fn quits(screen: &mut Screen) -> anyhow::Result<bool> {
    let due = Instant::now() + FRAME;
    while event::poll(due.saturating_duration_since(Instant::now())).context("reading keys")? {
        let Input::Key(key) = event::read().context("reading keys")? else {
            // The picture is drawn anew when the window changes.
            return Ok(false);
        };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Ok(true),
            // In raw mode the terminal sends no signal.
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(true),
            KeyCode::Char(' ') => screen.paused = !screen.paused,
            _ => {}
        }
    }
    Ok(false)
}

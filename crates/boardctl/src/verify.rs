//! `boardctl verify`: log, boards and archive against each other.

use crate::output::Output;
use crate::settings::{BoardSettings, PostgresSettings, board_named};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pipeline::KafkaSettings;
use recovery::verify::{Progress, Report, Sources, Verdict, verify};
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How often the bars are drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(100);

/// What is to be compared.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Verify {
    /// The board, whatever its values and windows; default: all of them
    #[arg(long)]
    board: Option<String>,
    /// Name every difference, not the first twenty of each kind
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    boards: BoardSettings,
    #[command(flatten)]
    postgres: PostgresSettings,
    #[command(flatten)]
    kafka: KafkaSettings,
}

/// Compares and reports; the exit code is 0 when all is right, 1 when there are differences, 2
/// when something could not be compared.
pub(crate) async fn run(command: &Verify, output: Output) -> ExitCode {
    match compare(command).await {
        Ok(report) => {
            output.answer(&report, |report| report.to_string().trim_end().to_owned());
            ExitCode::from(report.verdict.exit_code())
        }
        Err(error) => {
            eprintln!("boardctl: {error:#}");
            ExitCode::from(Verdict::NotCompared.exit_code())
        }
    }
}

async fn compare(command: &Verify) -> anyhow::Result<Report> {
    let Verify { board, all, boards: settings, postgres, kafka } = command;
    let boards = settings.boards()?;
    let mut stores = settings.stores()?;
    if let Some(name) = board {
        let named = board_named(&boards, Some(name))?;
        stores.retain(|store| store.board().name == named.name);
    }
    let sources = Sources { kafka: kafka.clone(), archive: postgres.archive()?, stores, boards };
    let progress = Arc::new(Progress::default());
    let drawn = tokio::spawn(draw(Arc::clone(&progress)));
    let report = verify(sources, *all, progress).await;
    drawn.abort();
    // Whoever is cancelled takes the bars away.
    let _ = drawn.await;
    report
}

/// Draws a bar for each part on standard error, where that is a terminal.
async fn draw(progress: Arc<Progress>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let bar = |what: &'static str| {
        let template = "{prefix:8} {wide_bar} {human_pos}/{human_len}";
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        Gone(bars.add(ProgressBar::new(0).with_style(style).with_prefix(what)))
    };
    let drawn = [
        (bar("log"), &progress.log),
        (bar("archive"), &progress.archive),
        (bar("players"), &progress.players),
    ];
    loop {
        for (bar, part) in &drawn {
            let (done, all) = part.seen();
            bar.0.set_length(all);
            bar.0.set_position(done);
        }
        tokio::time::sleep(DRAWN_EVERY).await;
    }
}

/// A bar that leaves nothing behind.
struct Gone(ProgressBar);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

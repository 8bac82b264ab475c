//! The loss of a run as an SVG: every step, and their running mean.

use std::path::Path;

use anyhow::Context;
use diffusion_train::MetricsLine;
use plotters::prelude::*;

/// Writes the curve; a run without a step has none.
pub(crate) fn write(path: &Path, metrics: &[MetricsLine]) -> anyhow::Result<()> {
    // A number that is none, or one beyond all sense, has no place on an axis.
    let drawable = |line: &&MetricsLine| line.loss.is_finite() && line.loss.abs() < 1e30;
    let metrics: Vec<MetricsLine> = metrics.iter().filter(drawable).copied().collect();
    let (Some(first), Some(last)) = (metrics.first(), metrics.last()) else { return Ok(()) };
    let smooth = running_mean(&metrics);
    // The first steps are far above the rest: the frame shows what comes after them.
    let tail: Vec<f64> =
        smooth.iter().skip(metrics.len().div_euclid(20)).map(|(_, loss)| *loss).collect();
    let low = tail.iter().copied().fold(f64::INFINITY, f64::min);
    let high = tail.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let margin = 0.15 * (high - low).max(0.01 * high.abs()).max(1e-9);
    let draw = || -> anyhow::Result<()> {
        let root = SVGBackend::new(path, (800, 450)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption("training loss (mean squared error)", ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(
                first.step..last.step.max(first.step + 1),
                (low - margin).max(0.0)..high + margin,
            )?;
        chart.configure_mesh().x_desc("step").y_desc("loss").light_line_style(WHITE).draw()?;
        let inside = |loss: f64| loss.clamp((low - margin).max(0.0), high + margin);
        let every = metrics.iter().map(|line| (line.step, inside(line.loss)));
        chart.draw_series(LineSeries::new(every, RGBColor(190, 205, 225)))?;
        let smooth = smooth.iter().map(|(step, loss)| (*step, inside(*loss)));
        chart.draw_series(LineSeries::new(
            smooth,
            ShapeStyle::from(RGBColor(20, 70, 140)).stroke_width(2),
        ))?;
        root.present()?;
        Ok(())
    };
    draw().with_context(|| format!("cannot draw {}", path.display()))
}

/// The mean over the last steps, a fiftieth of the run.
fn running_mean(metrics: &[MetricsLine]) -> Vec<(u64, f64)> {
    let window = metrics.len().div_euclid(50).max(1);
    let mut sum = 0.0;
    metrics
        .iter()
        .enumerate()
        .map(|(i, line)| {
            sum += line.loss;
            if i >= window {
                sum -= metrics[i - window].loss;
            }
            (line.step, sum / (i + 1).min(window) as f64)
        })
        .collect()
}

//! Draws the log-SNR of the named schedules, with the ten timesteps that two spacings visit on the cosine schedule, as SVG.
//!
//! `cargo run -p diffusion-samplers --example log_snr -- docs/src/log-snr.svg`
use std::fmt::Write;

use diffusion_math::DiscreteSchedule;
use diffusion_samplers::{TimestepSpacing, timesteps};

const T: usize = 1000;

/// The axes in pixels: the left and right end of time, the heights of log-SNR 15 and −20.
const X: (f64, f64) = (60.0, 580.0);
const Y: (f64, f64) = (20.0, 320.0);

fn x(timestep: usize) -> f64 {
    X.0 + timestep as f64 / (T - 1) as f64 * (X.1 - X.0)
}

fn y(log_snr: f64) -> f64 {
    Y.0 + (15.0 - log_snr) / 35.0 * (Y.1 - Y.0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: log_snr FILE.svg")?;
    let cosine = DiscreteSchedule::cosine(T)?;
    let curves = [
        ("cosine", "#1b6ca8", &cosine),
        ("linear", "#c0392b", &DiscreteSchedule::linear(T)?),
        ("scaled-linear", "#27803b", &DiscreteSchedule::scaled_linear(0.000_85, 0.012, T)?),
        ("sigmoid", "#8e44ad", &DiscreteSchedule::sigmoid(1e-4, 0.02, T)?),
    ];
    let mut svg = String::from(concat!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 370" font-family="sans-serif" font-size="13">"#,
        r##"<rect width="600" height="370" fill="#ffffff"/>"##,
        "\n"
    ));
    for log_snr in [-20, -15, -10, -5, 0, 5, 10, 15] {
        let height = y(f64::from(log_snr));
        writeln!(
            svg,
            r##"<path d="M{} {height}H{}" stroke="#dddddd"/><text x="{}" y="{}" text-anchor="end">{log_snr}</text>"##,
            X.0,
            X.1,
            X.0 - 12.0,
            height + 4.0
        )?;
    }
    for timestep in [0, 249, 499, 749, 999] {
        writeln!(
            svg,
            r#"<text x="{}" y="{}" text-anchor="middle">{timestep}</text>"#,
            x(timestep),
            Y.1 + 18.0
        )?;
    }
    writeln!(svg, r#"<text x="320" y="362" text-anchor="middle">timestep</text>"#)?;
    writeln!(
        svg,
        r#"<text x="16" y="170" text-anchor="middle" transform="rotate(-90 16 170)">log-SNR, nats</text>"#
    )?;
    for (i, (name, colour, schedule)) in curves.into_iter().enumerate() {
        // Every tenth timestep, and all where the curves are steep.
        let points: Vec<String> = (0..T)
            .filter(|t| t % 10 == 0 || !(20..T - 20).contains(t))
            .map(|t| (x(t), schedule.level_at_timestep(t).log_snr().0))
            .map(|(x, log_snr)| format!("{x:.1} {:.1}", y(log_snr)))
            .collect();
        writeln!(
            svg,
            r#"<path d="M{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            points.join("L")
        )?;
        let height = 40 + 18 * i;
        writeln!(svg, r#"<text x="440" y="{height}" fill="{colour}">{name}</text>"#)?;
    }
    // Leading timesteps as rings, trailing ones as dots inside them: but for the ends they are one timestep apart.
    let spacings = [
        (
            "leading",
            TimestepSpacing::Leading,
            r##"r="5.5" fill="#ffffff" stroke="#1b6ca8" stroke-width="1.5""##,
        ),
        ("trailing", TimestepSpacing::Trailing, r##"r="3" fill="#1b6ca8""##),
    ];
    for (i, (name, spacing, dot)) in spacings.into_iter().enumerate() {
        for t in timesteps(spacing, T, 10, 0)? {
            let log_snr = cosine.level_at_timestep(t).log_snr().0;
            writeln!(svg, r#"<circle cx="{:.1}" cy="{:.1}" {dot}/>"#, x(t), y(log_snr))?;
        }
        let height = 270 + 20 * i;
        writeln!(svg, r#"<circle cx="80" cy="{}" {dot}/>"#, height - 4)?;
        writeln!(svg, r#"<text x="92" y="{height}">{name}, 10 steps</text>"#)?;
    }
    svg.push_str("</svg>\n");
    std::fs::write(path, svg)?;
    Ok(())
}

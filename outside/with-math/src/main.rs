//! The posterior of one reverse step, and what a wrong variance would cost.
use diffusion_math::{DiscreteSchedule, Posterior, kl_isotropic};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schedule = DiscreteSchedule::cosine(1000)?;
    let posterior = Posterior::between(schedule.level(500), schedule.level(480));
    println!(
        "q(x_480 | x_500, x_0) = N({:.6} x_500 + {:.6} x_0, {:.6})",
        posterior.of_x_t, posterior.of_x0, posterior.variance
    );

    // The product of the 20 steps between them: 1 − β_{500|480} = Π (1 − β_i).
    let keep: f64 = schedule.betas()[480..500].iter().map(|beta| 1.0 - beta).product();
    let beta_tilde =
        schedule.one_minus_alpha_bar(480) / schedule.one_minus_alpha_bar(500) * (1.0 - keep);
    assert!((posterior.variance - beta_tilde).abs() < 1e-14);

    let nats = kl_isotropic(1, 0.0, posterior.variance.ln(), (1.0 - keep).ln());
    println!("taking beta for beta-tilde costs {nats:.6} nats a coordinate");
    assert!(nats > 0.0);
    Ok(())
}

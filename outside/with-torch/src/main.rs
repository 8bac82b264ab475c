//! Fits a line with the fused AdamW, on the device that there is.
use diffusion_torch::{AdamW, AdamWConfig, DeviceRequest, select};
use tch::{Kind, Tensor};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = select(DeviceRequest::Auto)?;
    let x = Tensor::linspace(-1.0, 1.0, 100, (Kind::Float, device));
    let y = &x * 2.0 + 0.5;
    let line = Tensor::zeros([2], (Kind::Float, device)).set_requires_grad(true);
    let config = AdamWConfig { weight_decay: 0.0, ..AdamWConfig::default() }; // it would pull the slope towards 0
    let mut adamw = AdamW::new(vec![("line".into(), line.shallow_clone())], config)?;
    for _ in 0..500 {
        adamw.clear_gradients()?;
        let residual = line.get(0) * &x + line.get(1) - &y;
        residual.square().mean(Kind::Float).backward();
        adamw.step(0.05)?;
    }
    let (slope, offset) = (line.double_value(&[0]), line.double_value(&[1]));
    println!("slope {slope:.4}, offset {offset:.4} on {device:?}");
    assert!((slope - 2.0).abs() < 1e-3 && (offset - 0.5).abs() < 1e-3);
    Ok(())
}

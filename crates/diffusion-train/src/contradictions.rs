//! Which keys a resumed run was given otherwise than it was started with.

use std::path::PathBuf;

use crate::{RunConfig, SamplingSection};

impl RunConfig {
    /// Keys in which this configuration differs from `other` though a resumed run must keep them: all but the steps, the
    /// checkpoint interval, the run's directory and how samples are drawn.
    pub fn contradictions(&self, other: &Self) -> Vec<String> {
        let table = |config: &Self| {
            let mut config = config.clone();
            config.run.dir = PathBuf::new();
            config.train.steps = 1;
            config.train.checkpoint_every = 1;
            config.sampling = SamplingSection::default();
            toml::Value::try_from(config).expect("a configuration is plain data")
        };
        let mut keys = Vec::new();
        differing_keys("", &table(self), &table(other), &mut keys);
        keys
    }
}

fn differing_keys(prefix: &str, a: &toml::Value, b: &toml::Value, keys: &mut Vec<String>) {
    let (Some(a_table), Some(b_table)) = (a.as_table(), b.as_table()) else {
        if a != b {
            keys.push(format!("{prefix} = {b}, was {a}"));
        }
        return;
    };
    let names: std::collections::BTreeSet<&String> = a_table.keys().chain(b_table.keys()).collect();
    for name in names {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match (a_table.get(name), b_table.get(name)) {
            (Some(a), Some(b)) => differing_keys(&path, a, b, keys),
            (Some(a), None) => keys.push(format!("{path} is absent, was {a}")),
            (None, Some(b)) => keys.push(format!("{path} = {b}, was absent")),
            (None, None) => {}
        }
    }
}

//! Gradients on their way to the other ranks.

use super::{Group, Lost, Pending};
use burn::backend::autodiff::NodeId;
use std::collections::HashMap;

/// Gradients that are sent together: 1 MiB, after which the time that a message takes to begin no longer counts on common networks.
const BUCKET: usize = 1 << 18;

/// The gradients of a backward pass, in the order in which it comes to them, which is the same on every rank.
#[derive(Default)]
pub(super) struct Buckets {
    /// Which parameter a node of the tape is.
    places: HashMap<NodeId, usize>,
    filling: Bucket,
    sent: Vec<(Vec<Part>, Box<dyn Pending>)>,
}

/// Which parameter's gradient, and how many values.
type Part = (usize, usize);

/// Gradients behind each other.
#[derive(Default)]
struct Bucket {
    parts: Vec<Part>,
    values: Vec<f32>,
}

impl Buckets {
    pub(super) fn mark(&mut self, node: NodeId, place: usize) {
        self.places.insert(node, place);
    }

    /// Takes up a gradient if `node` is a parameter.
    pub(super) fn add(
        &mut self,
        group: &dyn Group,
        node: NodeId,
        values: impl FnOnce() -> Vec<f32>,
    ) -> Result<(), Lost> {
        let Some(&place) = self.places.get(&node) else { return Ok(()) };
        let values = values();
        self.filling.parts.push((place, values.len()));
        self.filling.values.extend(values);
        if self.filling.values.len() >= BUCKET { self.send(group) } else { Ok(()) }
    }

    fn send(&mut self, group: &dyn Group) -> Result<(), Lost> {
        let Bucket { parts, values } = std::mem::take(&mut self.filling);
        if !parts.is_empty() {
            self.sent.push((parts, group.begin_sum(values)?));
        }
        Ok(())
    }

    /// All sums.
    pub(super) fn finish(&mut self, group: &dyn Group) -> Result<Vec<(usize, Vec<f32>)>, Lost> {
        self.send(group)?;
        let mut sums = Vec::new();
        for (parts, pending) in self.sent.drain(..) {
            let values = pending.wait()?;
            let mut rest = values.as_slice();
            for (place, len) in parts {
                let (own, others) = rest.split_at(len);
                sums.push((place, own.to_vec()));
                rest = others;
            }
        }
        Ok(sums)
    }
}

//! Synfire trains deep spiking neural networks with BPSTA and its baselines.
//!
//! A spiking network's layers are convolutions and linear layers, each followed by leaky integrate-and-fire neurons
//! that run for T time steps and pass on spikes, 0 or 1. A spike has no derivative; how the error passes it is the
//! [method](ops::Method): the rectangular surrogate of `stbp`, or the spatial (`bpsa`) and spatiotemporal (`bpsta`)
//! adjustment of G. Shen, D. Zhao, Y. Zeng, "Backpropagation with biologically plausible spatiotemporal adjustment for
//! training deep spiking neural networks", Patterns 3(6), 2022. The equations stand in
//! [`synfire_kernels::neuron`].
//!
//! Tensors, autodiff and optimisers are [Burn](burn)'s; on the CPU the operations run on `synfire-kernels`. A network
//! comes from a layer string:
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use synfire::loss::Loss;
//! use synfire::net::{Input, Net, Pass, Plan};
//! use synfire::ops::Lif;
//! use synfire::optim::{Optimizer, OptimizerKind};
//!
//! // Convolution to 8 channels, 2x2 maxima, and 2 leaky integrators per class as the readout.
//! let device = Device::flex();
//! let plan = Plan::new(&"8C3-MP2-LI2".parse()?, [1, 8, 8], 10, true)?;
//! let mut net = Net::new(plan, Lif::default(), 1, &device);
//! let mut optimizer = Optimizer::new(OptimizerKind::AdamW, 1e-4, 0.0);
//!
//! // A batch of 4 images [B, C, H, W], shown at each of 6 time steps.
//! let images = Tensor::random([4, 1, 8, 8], Distribution::Uniform(0.0, 1.0), &device);
//! let labels = [3, 1, 4, 1];
//!
//! net.track();
//! let readout = net.forward(Input::constant(images.clone(), 6), &mut Pass::training(None)); // [T, B, classes]
//! let loss = Loss::CrossEntropy.of(readout, &labels);
//! let gradients = loss.backward();
//! let gradients = net.take_gradients(&gradients);
//! optimizer.step(&mut net, gradients, 1e-3);
//!
//! let readout = net.forward(Input::constant(images, 6), &mut Pass::inference());
//! assert_eq!(readout.dims(), [6, 4, 10]);
//! # Ok::<(), synfire::net::NetError>(())
//! ```
//!
//! # Modules, from the operations up
//!
//! - [`device`]: where networks run.
//! - [`ops`]: convolution, batch norm, neurons and pooling on tensors, each with its backward pass.
//! - [`net`]: layer strings, their sizes, networks, and what a forward pass notes down.
//! - [`encode`]: still images to one frame a time step.
//! - [`loss`], [`optim`]: what is minimised, and how.
//! - [`parallel`]: several processes that train one network.
//! - [`train`]: settings and recipes, the loop, checkpoints and the folder of a run.
//! - [`infer`]: what a trained network says of one sample; [`anytime`]: and after each time step.
//! - [`energy`]: operations of a network on real samples, and what they would cost.
//! - [`compare`]: methods, seeds and other settings, trained side by side.
//! - [`verify`]: this build against golden files.
//! - [`speed`]: how fast a network trains and infers here.
//! - [`file`](mod@file): files that are whole or absent.
//!
//! Whatever is random comes from seeds, and results do not depend on the number of threads: equal runs write equal
//! bytes, stopped and resumed or not.

pub mod anytime;
pub mod compare;
pub mod device;
pub mod encode;
pub mod energy;
pub mod file;
pub mod infer;
pub mod loss;
pub mod net;
pub mod ops;
pub mod optim;
pub mod parallel;
pub mod speed;
pub mod train;
pub mod verify;

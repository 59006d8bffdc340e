//! Graphs against a simulator of their equations in double precision, and what cannot be a graph or a network.

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::{net, outputs};
use std::collections::BTreeMap;
use std::fs;
use synfire::file::HostTensor;
use synfire::net::{Input, Net, Pass, Record};
use synfire_interop::nir::{
    DT, Graph, Node, Pooling, Pools, Resistance, Translation, export, import, read, write,
};

/// A graph's nodes, each behind those that lead to it.
fn in_order(graph: &Graph) -> Vec<&str> {
    let mut order: Vec<&str> = Vec::new();
    while order.len() < graph.nodes.len() {
        let ready =
            |name: &str| graph.edges.iter().all(|(from, to)| to != name || order.contains(&from.as_str()));
        let next = graph.nodes.keys().find(|name| !order.contains(&name.as_str()) && ready(name)).unwrap();
        order.push(next);
    }
    order
}

/// What a graph does with one sample, by NIR's equations and Euler's method: spikes of every layer of neurons, `[T, N]`, and what the
/// output gets, `[T, classes]`.
fn simulate(
    graph: &Graph,
    dt: f64,
    frames: &[Vec<f64>],
    shape: [usize; 3],
) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let order = in_order(graph);
    let mut states: Vec<Vec<f64>> = order.iter().map(|_| Vec::new()).collect();
    let mut spikes: Vec<Vec<f64>> = Vec::new();
    let mut outputs = Vec::new();
    for frame in frames {
        let mut given: BTreeMap<&str, (Vec<f64>, [usize; 3])> = BTreeMap::new();
        let mut layer = 0;
        for (&name, state) in order.iter().zip(&mut states) {
            let node = &graph.nodes[name];
            let mut reaching =
                graph.edges.iter().filter(|(_, to)| to == name).map(|(from, _)| given[from.as_str()].clone());
            let (mut values, mut size) = reaching.next().unwrap_or((frame.clone(), shape));
            for (others, _) in reaching {
                assert_eq!(values.len(), others.len());
                values.iter_mut().zip(others).for_each(|(value, other)| *value += other);
            }
            state.resize(values.len(), 0.0);
            let at = |tensor: &HostTensor, i: usize| f64::from(tensor.values[i % tensor.values.len()]);
            match node {
                Node::Input { .. } | Node::Output { .. } => {}
                Node::Flatten { .. } => size = [values.len(), 1, 1],
                Node::Conv2d { weight, bias, stride, padding, .. } => {
                    (values, size) = convolve(&values, size, weight, bias, stride[0], padding[0]);
                }
                Node::Affine { weight, bias } => {
                    values = multiply(&values, weight)
                        .iter()
                        .zip(&bias.values)
                        .map(|(y, &b)| y + f64::from(b))
                        .collect();
                    size = [values.len(), 1, 1];
                }
                Node::Linear { weight } => {
                    values = multiply(&values, weight);
                    size = [values.len(), 1, 1];
                }
                Node::AvgPool2d(Pooling { kernel: [k, _], .. }) => {
                    (values, size) = sums(&values, size, *k);
                    values.iter_mut().for_each(|value| *value /= (k * k) as f64);
                }
                Node::SumPool2d(Pooling { kernel: [k, _], .. }) => (values, size) = sums(&values, size, *k),
                Node::Lif { tau, r, v_leak, v_threshold, v_reset } => {
                    state.resize(values.len(), 0.0);
                    for (i, (v, value)) in state.iter_mut().zip(&mut values).enumerate() {
                        *v += dt / at(tau, i) * (at(v_leak, i) - *v + at(r, i) * *value);
                        *value = f64::from(u8::from(*v >= at(v_threshold, i)));
                        if *value == 1.0 {
                            *v = at(v_reset.as_ref().unwrap(), i);
                        }
                    }
                }
                Node::If { r, v_threshold, v_reset } => {
                    for (i, (v, value)) in state.iter_mut().zip(&mut values).enumerate() {
                        *v += dt * at(r, i) * *value;
                        *value = f64::from(u8::from(*v >= at(v_threshold, i)));
                        if *value == 1.0 {
                            *v = at(v_reset.as_ref().unwrap(), i);
                        }
                    }
                }
                Node::Li { tau, r, v_leak } => {
                    for (i, (v, value)) in state.iter_mut().zip(&mut values).enumerate() {
                        *v += dt / at(tau, i) * (at(v_leak, i) - *v + at(r, i) * *value);
                        *value = *v;
                    }
                }
            }
            if matches!(node, Node::Lif { .. } | Node::If { .. }) {
                spikes.resize(spikes.len().max(layer + 1), Vec::new());
                spikes[layer].extend(&values);
                layer += 1;
            }
            if matches!(node, Node::Output { .. }) {
                outputs.push(values.clone());
            }
            given.insert(name, (values, size));
        }
    }
    (spikes, outputs)
}

fn convolve(
    x: &[f64],
    [channels, h, w]: [usize; 3],
    weight: &HostTensor,
    bias: &HostTensor,
    stride: usize,
    padding: usize,
) -> (Vec<f64>, [usize; 3]) {
    let (out, k) = (weight.shape[0], weight.shape[2]);
    let (oh, ow) = ((h + 2 * padding - k) / stride + 1, (w + 2 * padding - k) / stride + 1);
    let mut y = Vec::new();
    for o in 0..out {
        for (row, column) in (0..oh).flat_map(|row| (0..ow).map(move |column| (row, column))) {
            let mut sum = f64::from(bias.values[o]);
            for (c, (i, j)) in
                (0..channels).flat_map(|c| (0..k).flat_map(move |i| (0..k).map(move |j| (c, (i, j)))))
            {
                let (r, s) = (row * stride + i, column * stride + j);
                if (padding..h + padding).contains(&r) && (padding..w + padding).contains(&s) {
                    let value = x[(c * h + r - padding) * w + s - padding];
                    sum += value * f64::from(weight.values[((o * channels + c) * k + i) * k + j]);
                }
            }
            y.push(sum);
        }
    }
    (y, [out, oh, ow])
}

fn multiply(x: &[f64], weight: &HostTensor) -> Vec<f64> {
    let rows = weight.values.chunks(x.len());
    rows.map(|row| row.iter().zip(x).map(|(&weight, x)| f64::from(weight) * x).sum()).collect()
}

fn sums(x: &[f64], [channels, h, w]: [usize; 3], k: usize) -> (Vec<f64>, [usize; 3]) {
    let size = [channels, h / k, w / k];
    let mut y = vec![0.0; size.iter().product()];
    for (c, (i, j)) in
        (0..channels).flat_map(|c| (0..h / k * k).flat_map(move |i| (0..w / k * k).map(move |j| (c, (i, j)))))
    {
        y[(c * size[1] + i / k) * size[2] + j / k] += x[(c * h + i) * w + j];
    }
    (y, size)
}

/// Spikes of every layer in the order of channels, height and width, `[T, N]` each, of a network's first sample.
fn spikes(net: &mut Net, frames: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let [c, h, w] = net.plan().input;
    let steps = frames.len();
    let values: Vec<f32> = frames.iter().flatten().map(|&value| value as f32).collect();
    let tensor = Tensor::<5>::from_data(TensorData::new(values, [steps, 1, c, h, w]), net.device());
    let mut pass = Pass::inference().recording(Record::Spikes);
    net.forward(Input::frames(tensor), &mut pass);
    let layers = pass.recorded.into_iter().map(|layer| {
        let values = layer.spikes.unwrap().into_data().try_into_vec::<f32>().unwrap();
        let (channels, places) = match layer.shape[..] {
            [h, w, c] => (c, h * w),
            _ => (1, layer.shape.iter().product()),
        };
        let step = |step: &[f32]| {
            (0..channels * places)
                .map(|i| f64::from(step[i % places * channels + i / places]))
                .collect::<Vec<_>>()
        };
        values.chunks(channels * places).flat_map(step).collect()
    });
    layers.collect()
}

/// Frames that no two of are the same.
fn frames(steps: usize, len: usize) -> Vec<Vec<f64>> {
    let value = |i: usize| f64::from(((i as u32).wrapping_mul(2_654_435_761) >> 8) as u16) / 65_536.0;
    (0..steps).map(|t| (0..len).map(|i| value(t * len + i + 1) as f32 as f64).collect()).collect()
}

#[test]
fn a_graph_does_what_the_network_does() {
    for (layers, decay) in [
        ("6C3-AP2-8C5S2-VOTE3", 0.9),
        ("4C3-4C1-AP3-DP-12FC-9FC-VOTE1", 0.75),
        ("4C3-AP2-6C3-LI4", 0.9),
        ("5C3-AP2-7FC-VOTE2", 1.0),
        ("5C3-VOTE2", 0.0),
        ("5C3-AP2-LI2", 0.0),
        ("4C3-4RB-6RBS2-VOTE1", 0.9),
    ] {
        let mut original = net(layers, [2, 9, 8], 3, decay, false);
        let frames = frames(5, 2 * 9 * 8);
        let expected = spikes(&mut original, &frames);
        assert!(
            expected.iter().all(|layer| layer.iter().sum::<f64>() > 0.0),
            "{layers}: neurons of every layer fire"
        );
        let output = outputs(&mut original, &frames);
        for (resistance, pools, dt) in [
            (Resistance::Neuron, Pools::Average, DT),
            (Resistance::Weights, Pools::Sum, 1e-3),
            (Resistance::Weights, Pools::Average, 0.5),
        ] {
            if layers.contains("4RB") && resistance == Resistance::Weights {
                continue;
            }
            let graph = export(&mut original, Translation { dt, resistance, pools }).unwrap();
            let (found, out) = simulate(&graph, dt, &frames, [2, 9, 8]);
            assert_eq!(found, expected, "{layers}, decay {decay}, {resistance:?}, {pools:?}, {dt} s");
            for (found, expected) in out.iter().flatten().zip(&output) {
                assert!((found - expected).abs() <= 1e-5, "{layers}: {found} and {expected}");
            }
        }
    }
}

#[test]
fn a_graph_in_a_file_becomes_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.nir");
    for layers in
        ["6C3-AP2-8C5S2-VOTE3", "4C3-AP3-DP-12FC-9FC-VOTE1", "4C3-AP2-6C3-LI4", "4C3-4RB-6RBS2-AP2-6RB-VOTE1"]
    {
        let mut original = net(layers, [2, 9, 8], 3, 0.9, false);
        let graph = export(&mut original, Translation::default()).unwrap();
        write(&path, &graph).unwrap();
        let again = read(&path).unwrap();
        assert_eq!(again, graph, "{layers}");
        let mut imported = import(&again, DT, None, &Device::flex()).unwrap();
        assert_eq!(imported.notes, [""; 0]);
        assert_eq!(imported.net.plan().spec.to_string(), layers.replace("-DP", ""));
        assert_eq!((imported.net.lif.decay, imported.net.lif.threshold), (0.9, 0.5));
        for decay in [0.0, 1.0] {
            let Ok(graph) = export(&mut net(layers, [2, 9, 8], 3, decay, false), Translation::default())
            else {
                assert!(layers.contains("LI") && decay == 1.0);
                continue;
            };
            assert_eq!(import(&graph, DT, None, &Device::flex()).unwrap().net.lif.decay, decay);
        }
        let frames = frames(5, 2 * 9 * 8);
        assert_eq!(spikes(&mut imported.net, &frames), spikes(&mut original, &frames), "{layers}");
        // Nothing is lost on the way, to the last bit. A dropout is, and with it its number.
        if !layers.contains("DP") {
            assert_eq!(export(&mut imported.net, Translation::default()).unwrap(), graph, "{layers}");
        }
        // Other ways to write the same give the same network but for roundings.
        if layers.contains("4RB") {
            continue;
        }
        let other = Translation { dt: 0.01, resistance: Resistance::Weights, pools: Pools::Sum };
        let other = import(&export(&mut original, other).unwrap(), 0.01, None, &Device::flex());
        assert_eq!(spikes(&mut other.unwrap().net, &frames), spikes(&mut original, &frames), "{layers}");
    }
}

#[test]
fn a_residual_block_is_two_edges_into_its_last_neurons() {
    let mut residual = net("4C3-4RB-6RBS2-VOTE1", [2, 8, 8], 3, 0.9, false);
    let graph = export(&mut residual, Translation::default()).unwrap();
    let into = |name: &str| graph.edges.iter().filter(|(_, to)| to == name).count();
    assert_eq!((into("lif_3_2"), into("lif_4_2"), into("lif_3_1")), (2, 2, 1));
    assert!(graph.nodes.contains_key("conv_4_shortcut") && !graph.nodes.contains_key("conv_3_shortcut"));
    let refused = |change: &dyn Fn(&mut Graph), told: &[&str]| {
        let mut graph = graph.clone();
        change(&mut graph);
        let problem = import(&graph, DT, None, &Device::flex()).unwrap_err();
        told.iter().for_each(|told| assert!(problem.contains(told), "{problem}"));
    };
    let edge = |from: &str, to: &str| (from.to_string(), to.to_string());
    // Ways that do not meet, that meet a third, that part once more, or that are no block.
    refused(&|graph| graph.edges.push(edge("lif_2", "lif_4_2")), &["more than two nodes"]);
    refused(&|graph| graph.edges.push(edge("lif_3_1", "lif_4_2")), &["ways part at node `lif_3_1`"]);
    refused(&|graph| graph.edges.push(edge("lif_4_2", "lif_4_1")), &["`lif_3_2`", "meet in the same node"]);
    refused(
        &|graph| {
            graph.edges.retain(|edge| edge.1 != "lif_3_1" && edge.0 != "lif_3_1");
            graph.edges.push(edge("conv_3_1", "conv_3_2"));
            graph.nodes.remove("lif_3_1");
        },
        &["`conv_3_1`, `conv_3_2` and nothing", "neurons"],
    );
    refused(
        &|graph| {
            graph.edges.retain(|edge| edge.1 != "conv_4_shortcut" && edge.0 != "conv_4_shortcut");
            graph.edges.push(edge("lif_3_2", "lif_4_2"));
            graph.nodes.remove("conv_4_shortcut");
        },
        &["different shapes"],
    );
    refused(
        &|graph| {
            let Some(Node::Conv2d { weight, .. }) = graph.nodes.get_mut("conv_3_1") else { panic!() };
            weight.shape = vec![weight.values.len()];
        },
        &["3x3"],
    );
    // A gain that the way without weights has no place for; where both have weights it goes into them.
    let gain = |name: &'static str| {
        move |graph: &mut Graph| match graph.nodes.get_mut(name) {
            Some(Node::Lif { r, .. }) => r.values.iter_mut().for_each(|r| *r *= 2.0),
            other => panic!("{other:?}"),
        }
    };
    refused(&gain("lif_3_2"), &["`lif_3_2`", "factor of 2"]);
    let mut doubled = graph.clone();
    gain("lif_4_2")(&mut doubled);
    let frames = frames(5, 2 * 8 * 8);
    let (expected, _) = simulate(&doubled, DT, &frames, [2, 8, 8]);
    let mut imported = import(&doubled, DT, None, &Device::flex()).unwrap();
    assert_eq!(spikes(&mut imported.net, &frames), expected);
    let weights = Translation { resistance: Resistance::Weights, ..Translation::default() };
    assert!(export(&mut residual, weights).unwrap_err().contains("no weights"));
}

#[test]
fn what_nir_cannot_say_is_refused_by_name() {
    let refused = |layers: &str, relu: bool, decay: f32, told: &[&str]| {
        let problem =
            export(&mut net(layers, [2, 8, 8], 3, decay, relu), Translation::default()).unwrap_err();
        told.iter().for_each(|told| assert!(problem.contains(told), "{problem}"));
    };
    refused("4C3-VOTE1", true, 0.9, &["4C3", "layers.0", "ReLU", "--relu false"]);
    refused("4C3-MP2-VOTE1", false, 0.9, &["MP2", "layers.3", "AP2"]);
    refused("4C3-LI1", false, 1.0, &["LI1", "decay"]);
    let mut net = net("4C3-VOTE1", [2, 8, 8], 3, 0.9, false);
    for dt in [0.0, -1.0, f64::NAN] {
        assert!(
            export(&mut net, Translation { dt, ..Translation::default() }).unwrap_err().contains("above 0")
        );
    }
}

/// A graph of a few nodes, changed.
fn changed(change: impl Fn(&mut Graph)) -> Result<String, String> {
    let mut graph =
        export(&mut net("4C3-AP2-6FC-VOTE2", [2, 8, 8], 3, 0.9, false), Translation::default()).unwrap();
    change(&mut graph);
    import(&graph, DT, None, &Device::flex()).map(|imported| imported.net.plan().spec.to_string())
}

fn neurons(
    name: &str,
    change: impl Fn(&mut HostTensor, &mut HostTensor, &mut HostTensor),
) -> Result<String, String> {
    changed(|graph| match graph.nodes.get_mut(name).unwrap() {
        Node::Lif { tau, v_threshold, v_reset, .. } => change(tau, v_threshold, v_reset.as_mut().unwrap()),
        other => panic!("{other:?}"),
    })
}

#[test]
fn graphs_that_are_no_network_are_refused_by_node() {
    assert_eq!(changed(|_| ()).unwrap(), "4C3-AP2-6FC-VOTE2");
    let refused = |result: Result<String, String>, told: &[&str]| {
        let problem = result.unwrap_err();
        told.iter().for_each(|told| assert!(problem.contains(told), "{problem}"));
    };
    let edge = |from: &str, to: &str| (from.to_string(), to.to_string());
    refused(changed(|graph| graph.edges.push(edge("lif_2", "nowhere"))), &["nowhere"]);
    refused(changed(|graph| graph.edges.push(edge("lif_2", "output"))), &["two ways", "pool_3", "nothing"]);
    refused(changed(|graph| graph.edges.retain(|(from, _)| from != "lif_2")), &["lif_2", "no edge"]);
    refused(
        changed(|graph| {
            graph.edges.iter_mut().filter(|edge| edge.0 == "lif_6").for_each(|edge| edge.1 = "conv_0".into())
        }),
        &["2 edges lead to node `conv_0`, expected 1"],
    );
    refused(changed(|graph| drop(graph.nodes.remove("input"))), &["input"]);
    let lonely = Node::Flatten { input: None };
    refused(changed(|graph| drop(graph.nodes.insert("lonely".into(), lonely.clone()))), &["lonely"]);
    refused(
        changed(|graph| drop(graph.nodes.insert("second".into(), Node::Input { shape: vec![1] }))),
        &["several", "second"],
    );
    refused(
        changed(|graph| drop(graph.nodes.insert("output".into(), Node::Output { shape: vec![4] }))),
        &["output", "[4]", "3 values"],
    );
    refused(
        changed(|graph| drop(graph.nodes.insert("input".into(), Node::Input { shape: vec![3, 8, 8] }))),
        &["conv_0", "2 channels", "3"],
    );
    refused(
        changed(|graph| drop(graph.nodes.insert("input".into(), Node::Input { shape: vec![2, 8] }))),
        &["input", "[2, 8]"],
    );
    let conv = |change: fn(&mut Node)| changed(move |graph| change(graph.nodes.get_mut("conv_0").unwrap()));
    macro_rules! set {
        ($field:ident = $value:expr) => {
            conv(|node| {
                if let Node::Conv2d { $field, .. } = node {
                    *$field = $value
                }
            })
        };
    }
    refused(set!(groups = 2), &["conv_0", "groups"]);
    refused(set!(dilation = [2, 2]), &["conv_0", "dilation"]);
    refused(set!(padding = [0, 0]), &["conv_0", "padding"]);
    refused(set!(stride = [1, 2]), &["conv_0", "steps"]);
    refused(set!(bias = HostTensor { shape: vec![3], values: vec![0.0; 3] }), &["conv_0", "bias", "3"]);
    refused(set!(weight = HostTensor { shape: vec![4, 2, 2, 2], values: vec![0.0; 32] }), &["conv_0", "2x2"]);
    refused(neurons("lif_2", |tau, _, _| tau.values.fill(2e-3)), &["lif_2", "lif_6", "0.95", "0.9"]);
    refused(neurons("lif_2", |tau, _, _| tau.values[3] = 2e-3), &["lif_2", "tau", "0.002"]);
    refused(neurons("lif_2", |tau, _, _| tau.values.fill(5e-5)), &["lif_2", "time step", "too long"]);
    refused(neurons("lif_6", |tau, _, _| tau.values.truncate(5)), &["lif_6", "tau", "5 values"]);
    refused(neurons("lif_2", |_, threshold, _| threshold.values[7] = 0.7), &["lif_2", "channel 0", "0.7"]);
    refused(neurons("lif_6", |_, threshold, _| threshold.values[2] = 0.0), &["lif_6", "threshold of 0"]);
    refused(neurons("lif_6", |_, threshold, _| threshold.values[2] = f32::NAN), &["lif_6", "NaN"]);
    refused(neurons("lif_6", |_, _, reset| reset.values[1] = -0.1), &["lif_6", "v_reset", "-0.1"]);
    refused(neurons("lif_6", |tau, _, _| tau.values.clear()), &["lif_6", "tau", "0 values"]);
    refused(neurons("lif_6", |tau, _, _| tau.values.fill(0.0)), &["lif_6", "tau is 0"]);
    let node = |name: &'static str, node: Node| {
        changed(move |graph| drop(graph.nodes.insert(name.into(), node.clone())))
    };
    let nothing = HostTensor { shape: vec![0, 64], values: vec![] };
    refused(node("linear_5", Node::Linear { weight: nothing }), &["linear_5", "to 0"]);
    refused(node("input", Node::Input { shape: vec![1 << 32; 3] }), &["input", "65536"]);
    refused(node("flatten_4", Node::Flatten { input: Some(vec![4, 4, 5]) }), &["flatten_4", "[4, 4, 5]"]);
    refused(set!(input = Some([9, 8])), &["conv_0", "[9, 8]", "8x8"]);
    assert!(import(&Graph::default(), DT, None, &Device::flex()).unwrap_err().contains("Input"));
}

#[test]
fn thresholds_of_single_neurons_go_into_their_weights() {
    let mut graph =
        export(&mut net("4C3-AP2-6FC-VOTE2", [2, 8, 8], 3, 0.9, false), Translation::default()).unwrap();
    let Some(Node::Lif { v_threshold, r, .. }) = graph.nodes.get_mut("lif_6") else { panic!() };
    v_threshold.values.iter_mut().enumerate().for_each(|(i, value)| *value = 0.25 * (1 + i) as f32);
    r.values.iter_mut().for_each(|value| *value *= 1.5);
    let mut imported = import(&graph, DT, None, &Device::flex()).unwrap().net;
    let frames = frames(6, 2 * 8 * 8);
    let (expected, _) = simulate(&graph, DT, &frames, [2, 8, 8]);
    assert_eq!(spikes(&mut imported, &frames), expected);
}

#[test]
fn files_that_are_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.nir");
    let graph = export(&mut net("2C3-AP2-VOTE1", [1, 4, 4], 2, 0.9, false), Translation::default()).unwrap();
    write(&path, &graph).unwrap();
    let sound = fs::read(&path).unwrap();
    let mut refused = 0;
    let mut try_bytes = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        match read(&path) {
            Err(error) => {
                assert!(error.to_string().contains("net.nir"), "{error}");
                refused += 1;
            }
            Ok(graph) => drop(import(&graph, DT, None, &Device::flex())),
        }
    };
    for cut in (0..sound.len()).step_by(97).chain([0, 1, 8, 9]) {
        try_bytes(&sound[..cut]);
    }
    for i in (0..sound.len()).step_by(11) {
        for flip in [0x01, 0xff] {
            let mut bytes = sound.clone();
            bytes[i] ^= flip;
            try_bytes(&bytes);
        }
    }
    assert!(refused > 50, "{refused}");
    fs::write(&path, b"not a graph").unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("not a NIR graph"));
    assert!(read(&folder.path().join("absent")).unwrap_err().to_string().contains("absent"));
}

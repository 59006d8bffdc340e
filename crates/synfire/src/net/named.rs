//! The networks of the paper and of its released code, by name.

/// A network with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedNet {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Its layer string.
    pub layers: &'static str,
    /// Channels, height and width it was made for.
    pub input: [usize; 3],
    /// Classes it was made for.
    pub classes: usize,
    /// Where it comes from.
    pub about: &'static str,
}

/// Every named network.
pub const NAMED: &[NamedNet] = &[
    NamedNet {
        name: "nmnist",
        layers: "128C3-MP2-128C3-MP2-256C3-AP2-512C3-AP4-DP-VOTE10",
        input: [2, 34, 34],
        classes: 10,
        about: "N-MNIST, released code",
    },
    NamedNet {
        name: "cifar10",
        layers: "128C3-128C3-MP2-128C3-MP2-256C3-MP2-512C3-AP4-VOTE10",
        input: [3, 32, 32],
        classes: 10,
        about: "CIFAR-10, released code",
    },
    NamedNet {
        name: "dvs",
        layers: "128C3-128C3-MP2-128C3-MP2-256C3-MP2-512C3-AP2-1024C3-AP4-DP-VOTE10",
        input: [2, 64, 64],
        classes: 11,
        about: "DVS128 Gesture and CIFAR10-DVS, released code",
    },
    NamedNet {
        name: "nmnist-paper",
        layers: "128C3-MP2-128C3-MP2-256C3-MP2-512C3-AP4-512FC-VOTE10",
        input: [2, 34, 34],
        classes: 10,
        about: "N-MNIST, the paper's middle network",
    },
    NamedNet {
        name: "cifar10-paper",
        layers: "128C3-MP2-128C3-MP2-256C3-MP2-512C3-AP4-512FC-VOTE10",
        input: [3, 32, 32],
        classes: 10,
        about: "CIFAR-10, the paper's middle network",
    },
    NamedNet {
        name: "dvs-paper",
        layers: "128C3-128C3-MP2-128C3-MP2-256C3-MP2-512C3-MP2-1024C3-AP4-1024FC-VOTE10",
        input: [2, 64, 64],
        classes: 11,
        about: "DVS128 Gesture and CIFAR10-DVS, the paper's large network",
    },
    NamedNet {
        name: "mnist-paper",
        layers: "128C3-MP2-128C3-256C3-MP2-2048FC-DP-VOTE10",
        input: [1, 28, 28],
        classes: 10,
        about: "MNIST, the paper's small network",
    },
    NamedNet {
        name: "resnet18",
        layers: "64C3-64RB*2-128RBS2-128RB-256RBS2-256RB-512RBS2-512RB-AP4-VOTE10",
        input: [3, 32, 32],
        classes: 10,
        about: "ResNet-18 with spiking neurons, for 32x32 images",
    },
    NamedNet {
        name: "resnet34",
        layers: "64C3-64RB*3-128RBS2-128RB*3-256RBS2-256RB*5-512RBS2-512RB*2-AP4-VOTE10",
        input: [3, 32, 32],
        classes: 10,
        about: "ResNet-34 with spiking neurons, for 32x32 images; the paper names it but released no code",
    },
];

/// The named network called `name`.
pub fn named(name: &str) -> Option<&'static NamedNet> {
    NAMED.iter().find(|net| net.name == name)
}

/// All names, comma separated.
pub(crate) fn list() -> String {
    NAMED.iter().map(|net| net.name).collect::<Vec<_>>().join(", ")
}

//! Where networks run: on the CPU, or on a GPU in one of the ways that this build knows.
//!
//! A device is named `cpu`, or by a [`Runtime`] and a number: `cuda`, `cuda:1`, `webgpu:0`. Opening it tries it with a small
//! computation, so that a missing driver is an error and not a panic in the middle of a run.

#[cfg(feature = "gpu")]
use burn::backend::DispatchDevice;
use burn::tensor::Device;
#[cfg(feature = "gpu")]
use burn::tensor::{DeviceType, Tensor};
use std::any::Any;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A way to reach devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// The processor, by the project's own kernels.
    Cpu,
    /// NVIDIA's GPUs, by CUDA.
    Cuda,
    /// GPUs by Vulkan, with kernels in its own language SPIR-V.
    Vulkan,
    /// Apple's GPUs, by Metal.
    Metal,
    /// GPUs by the graphics interface that the system has, with kernels in WebGPU's language WGSL.
    WebGpu,
}

/// Every way.
pub const RUNTIMES: [Runtime; 5] =
    [Runtime::Cpu, Runtime::Cuda, Runtime::Vulkan, Runtime::Metal, Runtime::WebGpu];

impl Runtime {
    /// Its name in `--device`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::WebGpu => "webgpu",
        }
    }

    /// The cargo feature that builds it in; none for the CPU.
    pub fn feature(self) -> Option<&'static str> {
        match self {
            Self::Cpu => None,
            Self::Cuda => Some("cuda"),
            Self::Vulkan => Some("vulkan"),
            Self::Metal => Some("metal"),
            Self::WebGpu => Some("wgpu"),
        }
    }

    /// Whether this build has it.
    pub fn built_in(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::WebGpu => cfg!(feature = "wgpu"),
        }
    }

    /// The devices it reaches, in the order of their numbers; none where it is not built in.
    fn devices(self) -> Vec<Device> {
        match self {
            Self::Cpu => vec![Device::flex()],
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::enumerate(DeviceType::Cuda).into_vec(),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Device::enumerate(DeviceType::Vulkan).into_vec(),
            #[cfg(feature = "metal")]
            Self::Metal => Device::enumerate(DeviceType::Metal).into_vec(),
            #[cfg(feature = "wgpu")]
            Self::WebGpu => Device::enumerate(DeviceType::Wgpu).into_vec(),
            #[allow(unreachable_patterns)]
            _ => Vec::new(),
        }
    }

    /// The numbers of those of its devices that processes or runs can take in turn: NVIDIA's all, of others those that call themselves as the
    /// first does, since drivers in software are devices too. It is never empty.
    fn alike(self) -> Vec<usize> {
        let devices = self.devices();
        if self == Self::Cuda || devices.len() < 2 {
            return (0..devices.len().max(1)).collect();
        }
        let names: Vec<_> = devices.iter().map(called).collect();
        (0..names.len()).filter(|&index| names[index] == names[0]).collect()
    }

    /// What was looked for where nothing was found.
    fn searched(self) -> &'static str {
        match self {
            Self::Cpu => "the processor",
            Self::Cuda => {
                "NVIDIA's driver (libcuda.so, or nvcuda.dll on Windows) is not installed, knows no GPU or may not be used (see nvidia-smi)"
            }
            Self::Vulkan => {
                "Vulkan's loader (libvulkan.so.1, or vulkan-1.dll on Windows) is not installed or knows no device; \
                 drivers are described by files in /usr/share/vulkan/icd.d or where VK_DRIVER_FILES says"
            }
            Self::Metal => "this system has no Metal",
            Self::WebGpu => {
                "neither Vulkan (libvulkan.so.1 with a driver in /usr/share/vulkan/icd.d or where VK_DRIVER_FILES says), \
                 DirectX 12, Metal nor OpenGL offers a device"
            }
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No device has such a name.
    #[error(
        "unknown device `{0}`, expected cpu, cuda, vulkan, metal or webgpu, the latter with a number if wanted: cuda:1"
    )]
    Unknown(String),
    /// This build does not know the way to it.
    #[error("this build has no {name}; build it in with\n  cargo build --release --features {feature}")]
    NotBuiltIn {
        /// The way.
        name: &'static str,
        /// The cargo feature.
        feature: &'static str,
    },
    /// There is none.
    #[error("no {name} device: {searched}")]
    Absent {
        /// The way.
        name: &'static str,
        /// What was looked for.
        searched: &'static str,
    },
    /// There are fewer.
    #[error("no device {name}:{index}: {} (`synfire devices` lists them)", there_are(*found))]
    NoSuch {
        /// The way.
        name: &'static str,
        /// The number asked for, from 0.
        index: usize,
        /// How many there are.
        found: usize,
    },
    /// It is there, but a small computation failed.
    #[error("the device {name}:{index} cannot be used: {reason}")]
    Unusable {
        /// The way.
        name: &'static str,
        /// Its number, from 0.
        index: usize,
        /// What went wrong.
        reason: String,
    },
}

fn there_are(found: usize) -> String {
    match found {
        1 => "there is 1, number 0".to_string(),
        n => format!("there are {n}, from 0 to {}", n.saturating_sub(1)),
    }
}

/// A device by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceName {
    /// How to reach it.
    pub runtime: Runtime,
    /// Its number, from 0.
    pub index: usize,
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown(text.to_string());
        let (name, index) = match text.split_once(':') {
            Some((name, index)) if index.bytes().all(|b| b.is_ascii_digit()) => {
                (name, index.parse().map_err(|_| unknown())?)
            }
            Some(_) => return Err(unknown()),
            None => (text, 0),
        };
        let runtime = RUNTIMES.into_iter().find(|runtime| runtime.name() == name).ok_or_else(unknown)?;
        if runtime == Runtime::Cpu && name != text {
            return Err(unknown());
        }
        Ok(Self { runtime, index })
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.runtime, self.index) {
            (Runtime::Cpu, _) => f.write_str("cpu"),
            (runtime, index) => write!(f, "{runtime}:{index}"),
        }
    }
}

impl DeviceName {
    /// Opens it.
    ///
    /// # Errors
    /// If this build does not know the way to it, there is none, or a small computation on it fails.
    pub fn open(self) -> Result<Device, DeviceError> {
        let (name, index) = (self.runtime.name(), self.index);
        if let (false, Some(feature)) = (self.runtime.built_in(), self.runtime.feature()) {
            return Err(DeviceError::NotBuiltIn { name, feature });
        }
        let devices = self.runtime.devices();
        if devices.is_empty() {
            return Err(DeviceError::Absent { name, searched: self.runtime.searched() });
        }
        let found = devices.len();
        let device = devices.into_iter().nth(index).ok_or(DeviceError::NoSuch { name, index, found })?;
        match trial(&device) {
            Ok(()) => Ok(device),
            Err(reason) => Err(DeviceError::Unusable { name, index, reason }),
        }
    }
}

/// The devices that a name stands for: one with a number for that, one without for all that are alike, to be taken in turn.
///
/// # Errors
/// If no device has such a name.
pub fn named(text: &str) -> Result<Vec<DeviceName>, DeviceError> {
    let first: DeviceName = text.parse()?;
    if text.contains(':') {
        return Ok(vec![first]);
    }
    Ok(first.runtime.alike().into_iter().map(|index| DeviceName { index, ..first }).collect())
}

/// The name of an opened device.
pub fn name(device: &Device) -> DeviceName {
    let named = RUNTIMES.into_iter().find_map(|runtime| {
        let index = runtime.devices().into_iter().position(|other| other == *device)?;
        Some(DeviceName { runtime, index })
    });
    named.unwrap_or(DeviceName { runtime: Runtime::Cpu, index: 0 })
}

/// A device of this machine, or a way that leads to none.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its name for `--device`; the way alone where it leads to no device.
    pub name: String,
    /// What the device calls itself.
    pub description: Option<String>,
    /// Why it cannot be used.
    pub problem: Option<DeviceError>,
}

/// Every device of this machine, and why one is not usable. Each is tried.
pub fn list() -> Vec<Listed> {
    RUNTIMES.into_iter().flat_map(list_of).collect()
}

fn list_of(runtime: Runtime) -> Vec<Listed> {
    let found = runtime.devices().len();
    let listed = |name: DeviceName| {
        let opened = name.open();
        let plain = if found == 0 { runtime.name().to_string() } else { name.to_string() };
        let description = opened.as_ref().ok().and_then(describe);
        Listed { name: plain, description, problem: opened.err() }
    };
    (0..found.max(1)).map(|index| listed(DeviceName { runtime, index })).collect()
}

/// What a GPU calls itself.
#[cfg(feature = "gpu")]
fn describe(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.name)
}

#[cfg(not(feature = "gpu"))]
fn describe(_: &Device) -> Option<String> {
    None
}

/// What the device calls itself; none for the CPU.
pub fn description(device: &Device) -> Option<String> {
    if is_cpu(device) { None } else { describe(device) }
}

/// Whether it is the CPU.
pub fn is_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

/// Bytes of the device's memory that this process has taken, at most so far; none for the CPU.
pub fn memory_taken(device: &Device) -> Option<u64> {
    if is_cpu(device) {
        return None;
    }
    device.memory_pool_usage().map(|usage| usage.bytes_reserved)
}

/// The memory of a GPU.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Bytes that there are, where that is known: to CUDA, Vulkan and Metal.
    pub(crate) whole: Option<u64>,
    /// Bytes that one tensor can have.
    pub(crate) piece: u64,
}

/// The device's memory; none for the CPU, whose is the machine's.
#[cfg(feature = "gpu")]
pub(crate) fn memory(device: &Device) -> Option<Memory> {
    let DispatchDevice::Cube(device) = device.as_dispatch() else { return None };
    let client = device.client();
    let found = &client.properties().memory;
    Some(Memory { whole: found.max_memory(), piece: found.max_page_size })
}

#[cfg(not(feature = "gpu"))]
pub(crate) fn memory(_: &Device) -> Option<Memory> {
    None
}

/// A device's memory was full.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the device's memory is full: {bytes} bytes more were asked for")]
pub struct Full {
    /// How many bytes it did not have, or not in one piece.
    bytes: String,
}

/// Runs work with a device whose memory may be full: Burn's tensors panic then. It is no defect but an answer; other panics stay what they are.
///
/// # Errors
/// If it was.
pub fn unless_full<T>(work: impl FnOnce() -> T) -> Result<T, Full> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|panic| match memory_missing(&*panic) {
        Some(bytes) => Full { bytes: bytes.to_string() },
        None => panic::resume_unwind(panic),
    })
}

/// How many bytes a device did not have, or not in one piece, if that is why there was this panic.
pub fn memory_missing(panic: &(dyn Any + Send)) -> Option<&str> {
    // In CubeCL's words.
    let told = ["out of device memory allocating ", "can't allocate buffer of size: "];
    let text = panic.downcast_ref::<String>()?;
    let (_, rest) = told.iter().find_map(|words| text.split_once(words))?;
    rest.split_whitespace().next()
}

/// Whether the driver takes the kernels in SPIR-V, if such are made for the device. CubeCL 0.11 declares shared memory wrongly for drivers
/// that cannot be told its layout, and they crash over it.
#[cfg(all(feature = "vulkan", not(target_vendor = "apple")))]
fn spirv(device: &Device) -> Result<(), String> {
    use cubecl::wgpu::wgpu::{Backends, Instance, InstanceDescriptor, hal::api::Vulkan};
    let DispatchDevice::Cube(cube) = device.as_dispatch() else { return Ok(()) };
    // Kernels in WGSL have no such thing, those in CUDA's C++ have no such driver.
    let makes_spirv = cube.client().properties().features.device_memory_scope;
    let Some(name) = describe(device).filter(|_| makes_spirv) else { return Ok(()) };
    let needed = c"VK_KHR_workgroup_memory_explicit_layout";
    let vulkan =
        InstanceDescriptor { backends: Backends::VULKAN, ..InstanceDescriptor::new_without_display_handle() };
    let adapters = cubecl::future::block_on(Instance::new(vulkan).enumerate_adapters(Backends::VULKAN));
    let lacks = adapters.iter().filter(|adapter| adapter.get_info().name == name).any(|adapter| {
        // SAFETY: the driver's adapter is asked for what it knows of itself, while `adapter` keeps it.
        let of_driver = unsafe { adapter.as_hal::<Vulkan>() };
        of_driver.is_some_and(|a| !a.physical_device_capabilities().supports_extension(needed))
    });
    match lacks {
        true => Err(format!(
            "its driver has no {}, which kernels in SPIR-V need; a build with the feature wgpu and without vulkan has others",
            needed.to_string_lossy()
        )),
        false => Ok(()),
    }
}

#[cfg(all(feature = "gpu", not(all(feature = "vulkan", not(target_vendor = "apple")))))]
fn spirv(_: &Device) -> Result<(), String> {
    Ok(())
}

/// What a device calls itself, where that can be had.
fn called(device: &Device) -> Option<String> {
    guarded(|| Ok(describe(device))).ok().flatten()
}

/// Runs what opens a device. The libraries underneath panic where something is missing, on threads of their own too; the first panic's message
/// is the best that there is to tell.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // One at a time, for the hook is the process'.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let first = Arc::new(OnceLock::new());
    let told = first.clone();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let _ = info.payload_as_str().map(|text| told.set(text.to_string()));
    }));
    let found = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(before);
    found.unwrap_or_else(|_| Err(first.get().cloned().unwrap_or("a small computation failed".into())))
}

/// A small computation, in which what is missing to compile kernels shows.
#[cfg(feature = "gpu")]
fn trial(device: &Device) -> Result<(), String> {
    if is_cpu(device) {
        return Ok(());
    }
    let computed = guarded(|| {
        spirv(device)?;
        let sum = Tensor::<1>::from_floats([1.0, 2.0], device) + 1.0;
        sum.into_data().try_into_vec::<f32>().map_err(|e| format!("{e:?}"))
    })?;
    match computed[..] {
        [2.0, 3.0] => Ok(()),
        _ => Err(format!("it computed [1, 2] + 1 = {computed:?}")),
    }
}

#[cfg(not(feature = "gpu"))]
fn trial(_: &Device) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let name = |text: &str| text.parse::<DeviceName>();
        assert_eq!(name("cpu"), Ok(DeviceName { runtime: Runtime::Cpu, index: 0 }));
        assert_eq!(name("cuda"), Ok(DeviceName { runtime: Runtime::Cuda, index: 0 }));
        assert_eq!(name("webgpu:12"), Ok(DeviceName { runtime: Runtime::WebGpu, index: 12 }));
        for text in ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "cuda:1:2", "cpu:0", ":0"] {
            assert_eq!(name(text), Err(DeviceError::Unknown(text.to_string())), "{text}");
        }
        assert!(name("cuda:99999999999999999999999").is_err());
    }

    #[test]
    fn what_is_not_built_in_says_how_to_build_it() {
        for runtime in RUNTIMES.into_iter().filter(|runtime| !runtime.built_in()) {
            let error = DeviceName { runtime, index: 0 }.open().unwrap_err().to_string();
            assert!(error.contains(&format!("--features {}", runtime.feature().unwrap())), "{error}");
        }
    }

    #[test]
    fn the_first_panic_of_any_thread_is_told() {
        let failed = guarded::<()>(|| {
            let worker = std::thread::spawn(|| panic!("the driver is too old"));
            worker.join().map_err(|_| String::new()).unwrap();
            Ok(())
        });
        assert_eq!(failed.unwrap_err(), "the driver is too old");
        assert_eq!(guarded(|| Ok(1)), Ok(1));
        assert_eq!(guarded::<()>(|| Err("no".into())), Err("no".into()));
    }

    #[test]
    fn full_memory_is_told_apart_from_other_panics() {
        let panic = |text: &str| -> Box<dyn Any + Send> { Box::new(text.to_string()) };
        for text in [
            "Io(out of device memory allocating 4096 bytes\n0: there",
            "x: can't allocate buffer of size: 4096\n",
        ] {
            assert_eq!(memory_missing(&*panic(text)), Some("4096"), "{text}");
        }
        assert_eq!(memory_missing(&*panic("index out of bounds")), None);
        assert_eq!(memory_missing(&"out of device memory allocating 1 bytes"), None, "no text of CubeCL's");
        let full =
            unless_full(|| panic!("{}", "out of device memory allocating 4096 bytes")).map(|(): ()| ());
        assert_eq!(
            full.unwrap_err().to_string(),
            "the device's memory is full: 4096 bytes more were asked for"
        );
        assert_eq!(unless_full(|| 1), Ok(1));
    }

    #[test]
    fn the_cpu_is_there() {
        let listed = list();
        assert!(listed[0].name == "cpu" && listed[0].problem.is_none(), "{listed:?}");
        // Every way is listed, if only to say why it leads nowhere.
        for runtime in RUNTIMES {
            assert!(listed.iter().any(|one| one.name.starts_with(runtime.name())), "{runtime}");
        }
    }
}

//! Recordings. Events cross as bytes of the dtype that `synfire.events` names.

use crate::arrays::{In, Out, Typed};
use crate::error::{raise, value};
use crate::threads::Work;
use numpy::{IntoPyArray, Ix1, Ix2, Ix3, IxDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use synfire::train::available_memory;
use synfire_events::simulate::gestures::{self, Gesture, Performance};
use synfire_events::simulate::{Camera, CameraSettings, Image, Moving, record};
use synfire_events::{
    Event, Format, FrameSpec, Origin, Reader, Recording, Sensor, Statistics, Writer, to_frames, untold,
};

/// A day, in seconds: longer videos are given in parts.
const LONGEST: f64 = 86_400.0;
/// Events of noise that a simulated camera may report.
const MOST_NOISE: f64 = 1e9;
/// Bytes of an event: its time, column, row and polarity.
const EVENT: usize = 8 + 2 + 2 + 1;

/// Events as the bytes of an array, and the sensor that saw them.
type Bytes<'py> = (Out<'py, u8, Ix1>, (u16, u16), bool);

fn bytes_of(events: &[Event]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(events.len() * EVENT);
    for (i, event) in events.iter().enumerate() {
        let side = |side: u16| {
            i16::try_from(side).map_err(|_| format!("event {i} is at {side}; arrays hold pixels up to 32767"))
        };
        bytes.extend(event.t.to_le_bytes());
        bytes.extend(side(event.x)?.to_le_bytes());
        bytes.extend(side(event.y)?.to_le_bytes());
        bytes.push(event.on.into());
    }
    Ok(bytes)
}

fn recording(bytes: &[u8], (width, height): (u16, u16)) -> PyResult<Recording> {
    let mut events = Vec::with_capacity(bytes.len() / EVENT);
    for (i, bytes) in bytes.as_chunks::<EVENT>().0.iter().enumerate() {
        let [t0, t1, t2, t3, t4, t5, t6, t7, x0, x1, y0, y1, on] = *bytes;
        let side = |name: &str, low, high| {
            let side = i16::from_le_bytes([low, high]);
            u16::try_from(side)
                .map_err(|_| value(format!("event {i} has {name} = {side}, expected 0 or more")))
        };
        events.push(Event {
            t: i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            x: side("x", x0, x1)?,
            y: side("y", y0, y1)?,
            on: on != 0,
        });
    }
    Ok(Recording { sensor: Sensor { width, height }, events })
}

fn array<'py>(py: Python<'py>, recording: &Recording, simulated: bool) -> PyResult<Bytes<'py>> {
    let bytes = py.work(|| bytes_of(&recording.events)).map_err(value)?;
    let Sensor { width, height } = recording.sensor;
    Ok((Typed(bytes.into_pyarray(py)), (width, height), simulated))
}

#[pyfunction]
pub(crate) fn read_events<'py>(py: Python<'py>, path: PathBuf, format: Option<&str>) -> PyResult<Bytes<'py>> {
    let format = format.map(str::parse::<Format>).transpose().map_err(raise)?;
    let (recording, simulated) = py
        .work(|| {
            let mut reader = Reader::open_as(&path, format)?;
            let recording = reader.read_to_end()?;
            Ok((recording, reader.simulated()))
        })
        .map_err(|e: synfire_events::EventError| raise(e))?;
    array(py, &recording, simulated)
}

/// Format, sensor, and what can be said of the events without keeping them.
#[pyfunction]
#[allow(clippy::type_complexity, reason = "a row of plain values, named in Python")]
pub(crate) fn recording_info(
    py: Python<'_>,
    path: PathBuf,
) -> PyResult<(String, u16, u16, u64, Option<i64>, Option<i64>, bool)> {
    py.work(|| {
        let mut reader = Reader::open(&path)?;
        let (mut n, mut first, mut last) = (0, None, None);
        while let Some(events) = reader.next_events()? {
            n += events.len() as u64;
            for event in events {
                first = Some(first.map_or(event.t, |t: i64| t.min(event.t)));
                last = Some(last.map_or(event.t, |t: i64| t.max(event.t)));
            }
        }
        let (format, simulated) = (reader.format().name().to_string(), reader.simulated());
        let Sensor { width, height } = reader.into_sensor()?;
        Ok((format, width, height, n, first, last, simulated))
    })
    .map_err(|e: synfire_events::EventError| raise(e))
}

/// Writes a recording. Returns what the file does not tell of it.
#[pyfunction]
pub(crate) fn write_events(
    py: Python<'_>,
    path: PathBuf,
    events: In<'_, u8, Ix1>,
    sensor: (u16, u16),
    format: Option<&str>,
    simulated: bool,
) -> PyResult<Vec<String>> {
    let bytes = events.as_slice()?;
    let recording = py.work(|| recording(bytes, sensor))?;
    let format = match format {
        Some(name) => name.parse::<Format>().map_err(raise)?,
        None => Format::of_name(&path).ok_or_else(|| {
            value(format!("{}: its name tells no format; name one with format=", path.display()))
        })?,
    };
    py.work(|| {
        let origin = Origin { sensor: recording.sensor, simulated };
        let mut writer = Writer::create(&path, format, origin)?;
        writer.write(&recording.events)?;
        writer.finish()?;
        untold(&path, format, origin)
    })
    .map_err(raise)
}

/// Frames `[T, C, H, W]`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each a choice of its own")]
pub(crate) fn events_to_frames<'py>(
    py: Python<'py>,
    events: In<'py, u8, Ix1>,
    sensor: (u16, u16),
    steps: usize,
    framing: &str,
    size: &str,
    downsampling: &str,
    polarities: &str,
    values: &str,
) -> PyResult<Out<'py, f32, IxDyn>> {
    let bytes = events.as_slice()?;
    let recording = py.work(|| recording(bytes, sensor))?;
    let spec = FrameSpec {
        steps,
        framing: framing.parse().map_err(raise)?,
        polarities: polarities.parse().map_err(raise)?,
        values: values.parse().map_err(raise)?,
        size: size.parse().map_err(raise)?,
        downsampling: downsampling.parse().map_err(raise)?,
    };
    let shape = spec.shape(recording.sensor);
    let mut frames = zeros(&shape)?;
    py.work(|| to_frames(&recording, &spec, &mut frames)).map_err(raise)?;
    frames.into_pyarray(py).reshape(shape).map(|array| Typed(array.to_dyn().clone()))
}

fn no_memory(shape: &[usize]) -> PyErr {
    PyMemoryError::new_err(format!("no memory for values of shape {shape:?}"))
}

/// How many values these are, if there is room for them.
pub(crate) fn room(shape: &[usize]) -> PyResult<usize> {
    let len = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    let len = len.ok_or_else(|| no_memory(shape))?;
    let bytes = len as u128 * size_of::<f32>() as u128;
    match available_memory().is_some_and(|available| bytes > available) && bytes > 1 << 20 {
        true => Err(no_memory(shape)),
        false => Ok(len),
    }
}

/// Room for values, or the error of too little memory rather than the end of the process.
pub(crate) fn zeros(shape: &[usize]) -> PyResult<Vec<f32>> {
    let len = room(shape)?;
    let mut values = Vec::new();
    values.try_reserve_exact(len).map_err(|_| no_memory(shape))?;
    values.resize(len, 0.0);
    Ok(values)
}

/// A camera's settings, in the order that Python hands them over.
type Given = (Option<f32>, Option<f32>, Option<f32>, Option<i64>, Option<f32>, Option<f32>);

fn camera((on, off, mismatch, refractory, noise, dark): Given, usual: CameraSettings) -> CameraSettings {
    CameraSettings {
        threshold_on: on.unwrap_or(usual.threshold_on),
        threshold_off: off.unwrap_or(usual.threshold_off),
        mismatch: mismatch.unwrap_or(usual.mismatch),
        refractory_us: refractory.unwrap_or(usual.refractory_us),
        noise_hz: noise.unwrap_or(usual.noise_hz),
        dark: dark.unwrap_or(usual.dark),
    }
}

#[pyfunction]
pub(crate) fn simulate_image<'py>(
    py: Python<'py>,
    image: In<'py, f32, Ix2>,
    protocol: &str,
    settings: Given,
    seed: u64,
) -> PyResult<Bytes<'py>> {
    let &[height, width] = image.shape() else { unreachable!("an array of two dimensions") };
    let image = Image::new(width, height, image.as_slice()?.to_vec());
    let scene = match protocol {
        "saccades" => Moving::saccades(image),
        "loop" => Moving::closed_loop(image),
        other => return Err(value(format!("unknown protocol {other:?}, expected saccades or loop"))),
    };
    let settings = camera(settings, CameraSettings::default());
    let recording = py.work(|| record(&scene, &settings, seed)).map_err(raise)?;
    array(py, &recording, true)
}

#[pyfunction]
pub(crate) fn simulate_video<'py>(
    py: Python<'py>,
    frames: In<'py, f32, Ix3>,
    fps: f64,
    settings: Given,
    seed: u64,
) -> PyResult<Bytes<'py>> {
    let &[n, height, width] = frames.shape() else { unreachable!("an array of three dimensions") };
    let side = |side: usize| {
        u16::try_from(side).map_err(|_| value(format!("frames of {width}x{height} pixels are too large")))
    };
    let sensor = Sensor { width: side(width)?, height: side(height)? };
    if !(fps.is_finite() && fps > 0.0) {
        return Err(value(format!("fps = {fps}: expected a number above 0")));
    }
    let settings = camera(settings, CameraSettings::default());
    // What pixels report for no reason in that time; what the frames show is bounded by their number.
    let seconds = (n - 1) as f64 / fps;
    if !(seconds <= LONGEST && seconds * f64::from(settings.noise_hz) * (width * height) as f64 <= MOST_NOISE)
    {
        return Err(value(format!(
            "{n} frames at {fps} a second are {seconds:.0} s of noise and video; expected a shorter time"
        )));
    }
    let values = frames.as_slice()?.to_vec();
    let recording = py.work(|| {
        let mut camera = Camera::new(sensor, settings, seed).map_err(raise)?;
        let mut events = Vec::new();
        let mut asked = Instant::now();
        for (i, frame) in values.chunks(width * height).enumerate() {
            camera.see((i as f64 * 1e6 / fps) as i64, frame, &mut events).map_err(raise)?;
            if asked.elapsed() > Duration::from_millis(50) {
                Python::attach(|py| py.check_signals())?;
                asked = Instant::now();
            }
        }
        Ok::<_, PyErr>(Recording { sensor, events })
    })?;
    array(py, &recording, true)
}

#[pyfunction]
pub(crate) fn simulate_gesture<'py>(
    py: Python<'py>,
    name: &str,
    settings: Given,
    seed: u64,
) -> PyResult<Bytes<'py>> {
    let Some(gesture) = Gesture::ALL.into_iter().find(|gesture| gesture.name() == name) else {
        let known = Gesture::ALL.map(Gesture::name).join(", ");
        return Err(value(format!("unknown gesture {name:?}, expected one of {known}")));
    };
    let settings = camera(settings, gestures::camera());
    let recording = py.work(|| record(&Performance::new(gesture, seed), &settings, seed)).map_err(raise)?;
    array(py, &recording, true)
}

/// What is wrong with a recording; nothing if it is sound.
#[pyfunction]
pub(crate) fn events_problems(
    py: Python<'_>,
    events: In<'_, u8, Ix1>,
    sensor: (u16, u16),
) -> PyResult<Vec<String>> {
    let bytes = events.as_slice()?;
    py.work(|| {
        let recording = recording(bytes, sensor)?;
        Ok(Statistics::of(&recording).problems().iter().map(ToString::to_string).collect())
    })
}

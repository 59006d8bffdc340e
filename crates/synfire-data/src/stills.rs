//! Still images held in memory as bytes.

use crate::{DataError, FrameSpec, Kind, Source};

/// Images of bytes, and their labels.
pub(crate) struct Stills {
    shape: [usize; 3],
    /// The byte that stands for 1.
    white: u8,
    /// `[N, C, H, W]`.
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Stills {
    /// Images of `shape`, of which `pixels` holds as many as there are labels.
    pub(crate) fn new(shape: [usize; 3], white: u8, pixels: Vec<u8>, labels: Vec<u8>) -> Self {
        debug_assert_eq!(pixels.len(), labels.len() * shape.iter().product::<usize>());
        Self { shape, white, pixels, labels }
    }

    /// Only these samples, in this order.
    pub(crate) fn subset(&self, samples: &[usize]) -> Self {
        let size = self.image_len();
        let pixels = samples.iter().flat_map(|&i| &self.pixels[i * size..][..size]).copied().collect();
        Self::new(self.shape, self.white, pixels, samples.iter().map(|&i| self.labels[i]).collect())
    }

    /// Another one where pixels differ.
    pub(crate) fn checksum(&self) -> String {
        format!("{:?} {} {:08x}", self.shape, self.pixels.len(), crc32c::crc32c(&self.pixels))
    }

    /// The shape and the values of one.
    ///
    /// # Panics
    /// When there is no image `i`.
    pub(crate) fn image(&self, i: usize) -> ([usize; 3], Vec<f32>) {
        let mut values = vec![0.0; self.image_len()];
        self.load(i, &FrameSpec::default(), &mut values).expect("an image of this number");
        (self.shape, values)
    }

    fn image_len(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Source for Stills {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn kind(&self) -> Kind {
        Kind::Still
    }

    fn shape(&self, _: &FrameSpec) -> [usize; 3] {
        self.shape
    }

    fn label(&self, i: usize) -> usize {
        usize::from(self.labels[i])
    }

    fn load(&self, i: usize, _frames: &FrameSpec, out: &mut [f32]) -> Result<(), DataError> {
        let size = self.image_len();
        if out.len() != size {
            return Err(DataError::usage("load an image", format!("room for {size} values"), out.len()));
        }
        let Some(image) = self.pixels.chunks_exact(size).nth(i) else {
            return Err(DataError::usage("load an image", format!("a sample below {}", self.len()), i));
        };
        let white = f32::from(self.white);
        for (value, &pixel) in out.iter_mut().zip(image) {
            *value = f32::from(pixel) / white;
        }
        Ok(())
    }
}

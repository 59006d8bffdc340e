//! Tensors of Burn's CPU backend as the slices that kernels take.

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Element, TensorData, f16};
use bytemuck::Pod;
use std::ops::Range;
use synfire_kernels::bf16::Precision;

/// A contiguous tensor.
pub(super) fn contiguous(x: &FlexTensor) -> FlexTensor {
    x.to_contiguous()
}

/// As [`contiguous`], without another owner of the memory where it is so already.
pub(super) fn into_contiguous(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() { x } else { contiguous(&x) }
}

/// Where the values of a contiguous tensor lie in its storage.
pub(super) fn place(x: &FlexTensor) -> Range<usize> {
    let start = x.layout().start_offset();
    start..start + x.layout().shape().num_elements()
}

pub(super) fn slice<E: Element + Pod>(x: &FlexTensor) -> &[E] {
    &x.storage::<E>()[place(x)]
}

/// As [`slice`], of a tensor's own memory: a copy's where another tensor shares it.
pub(super) fn slice_mut<E: Element + Pod>(x: &mut FlexTensor) -> &mut [E] {
    let place = place(x);
    &mut x.storage_mut::<E>()[place]
}

/// The words of spikes as bits.
pub(super) fn words(x: &FlexTensor) -> &[u16] {
    bytemuck::cast_slice(slice::<f16>(x))
}

pub(super) fn zeros<E: Element>(n: usize) -> Vec<E> {
    vec![E::default(); n]
}

/// Evaluates an expression with `E` the element of an activation: bf16 in memory, or `f32`.
macro_rules! with_element {
    ($dtype:expr, $E:ident => $body:expr) => {
        if $dtype == ::burn::tensor::DType::BF16 {
            type $E = ::synfire_kernels::bf16::bf16;
            $body
        } else {
            type $E = f32;
            $body
        }
    };
}

/// Evaluates an expression with `$source` what a convolution of the given precision reads: values, or spikes as bits.
macro_rules! with_source {
    ($x:expr, $precision:expr, $source:ident => $body:expr) => {
        match ($x.dtype(), $precision) {
            ($crate::ops::BITS, ::synfire_kernels::bf16::Precision::Bf16) => {
                let $source =
                    ::synfire_kernels::source::Bits::<::synfire_kernels::bf16::bf16>::new(words($x));
                $body
            }
            ($crate::ops::BITS, ::synfire_kernels::bf16::Precision::F32) => {
                let $source = ::synfire_kernels::source::Bits::<f32>::new(words($x));
                $body
            }
            (::burn::tensor::DType::BF16, _) => {
                let $source = slice::<::synfire_kernels::bf16::bf16>($x);
                $body
            }
            _ => {
                let $source = slice::<f32>($x);
                $body
            }
        }
    };
}

/// The dtype of a convolution's output.
pub(super) fn dtype(precision: Precision) -> DType {
    match precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    }
}

pub(super) fn tensor<E: Element>(values: Vec<E>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

pub(super) fn dims(x: &FlexTensor) -> Vec<usize> {
    x.layout().shape().to_vec()
}

pub(super) use {with_element, with_source};

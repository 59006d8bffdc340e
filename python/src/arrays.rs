//! Arrays, and what else the stubs of the compiled part could not name by itself: `maturin generate-stubs` writes them by what the
//! types here say of themselves.

use numpy::{Element, PyArray, PyReadonlyArray, PyReadwriteArray, ndarray};
use pyo3::inspect::{PyStaticConstant, PyStaticExpr};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{type_hint_identifier, type_hint_subscript};
use std::convert::Infallible;
use std::ops::{Deref, DerefMut};

/// An array that Python gives or gets.
pub(crate) struct Typed<A>(pub(crate) A);

/// An array to read, of so many dimensions.
pub(crate) type In<'py, T, D> = Typed<PyReadonlyArray<'py, T, D>>;
/// Values of any shape.
pub(crate) type Values<'py> = In<'py, f32, ndarray::IxDyn>;
/// An array to write to.
pub(crate) type InOut<'py, T, D> = Typed<PyReadwriteArray<'py, T, D>>;
/// A new array.
pub(crate) type Out<'py, T, D> = Typed<Bound<'py, PyArray<T, D>>>;

/// What an array holds.
pub(crate) trait Held {
    const ARRAY: PyStaticExpr;
}

macro_rules! held {
    ($($of:ty: $name:literal),*) => {$(
        impl Held for $of {
            const ARRAY: PyStaticExpr = type_hint_subscript!(
                type_hint_identifier!("numpy.typing", "NDArray"),
                type_hint_identifier!("numpy", $name)
            );
        }
    )*};
}
held!(f32: "float32", i64: "int64", u8: "uint8");

impl<T: Held, D> Held for PyReadonlyArray<'_, T, D>
where
    T: Element,
    D: ndarray::Dimension,
{
    const ARRAY: PyStaticExpr = T::ARRAY;
}

impl<T: Held, D> Held for PyReadwriteArray<'_, T, D>
where
    T: Element,
    D: ndarray::Dimension,
{
    const ARRAY: PyStaticExpr = T::ARRAY;
}

impl<'a, 'py, A: Held + FromPyObject<'a, 'py>> FromPyObject<'a, 'py> for Typed<A> {
    type Error = A::Error;
    const INPUT_TYPE: PyStaticExpr = A::ARRAY;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        object.extract().map(Typed)
    }
}

impl<'py, T: Held, D> IntoPyObject<'py> for Out<'py, T, D> {
    type Target = PyArray<T, D>;
    type Output = Bound<'py, Self::Target>;
    type Error = Infallible;
    const OUTPUT_TYPE: PyStaticExpr = T::ARRAY;

    fn into_pyobject(self, _: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(self.0)
    }
}

impl<A> Deref for Typed<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.0
    }
}

impl<A> DerefMut for Typed<A> {
    fn deref_mut(&mut self) -> &mut A {
        &mut self.0
    }
}

/// Arrays by name.
pub(crate) struct Named<'py>(pub(crate) Bound<'py, PyDict>);

impl Named<'_> {
    const TYPE: PyStaticExpr =
        type_hint_subscript!(type_hint_identifier!("builtins", "dict"), String::OUTPUT_TYPE, f32::ARRAY);
}

impl<'py> FromPyObject<'_, 'py> for Named<'py> {
    type Error = PyErr;
    const INPUT_TYPE: PyStaticExpr = Self::TYPE;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(object.cast::<PyDict>()?.to_owned()))
    }
}

impl<'py> IntoPyObject<'py> for Named<'py> {
    type Target = PyDict;
    type Output = Bound<'py, PyDict>;
    type Error = Infallible;
    const OUTPUT_TYPE: PyStaticExpr = Self::TYPE;

    fn into_pyobject(self, _: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(self.0)
    }
}

/// A function that hears of what happens: its kind, and a text of JSON.
pub(crate) struct Heard(pub(crate) Py<PyAny>);

impl FromPyObject<'_, '_> for Heard {
    type Error = Infallible;
    const INPUT_TYPE: PyStaticExpr = type_hint_subscript!(
        type_hint_identifier!("collections.abc", "Callable"),
        PyStaticExpr::List { elts: &[String::OUTPUT_TYPE, String::OUTPUT_TYPE] },
        PyStaticExpr::Constant { value: PyStaticConstant::None }
    );

    fn extract(object: Borrowed<'_, '_, PyAny>) -> Result<Self, Infallible> {
        Ok(Self(object.to_owned().unbind()))
    }
}

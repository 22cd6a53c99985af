//! x
#![allow(unused)]

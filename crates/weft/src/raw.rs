//! The allocator: mimalloc, asked for ordinary memory where Rust asks for ordinary alignment.
//!
//! The `mimalloc` crate asks for an alignment with every allocation. Where no free block of the very size is at hand, that
//! takes a block with room to align in: slower to find and to free, and larger. But every block of mimalloc is aligned to
//! [`ORDINARY`] bytes, or to its size if that is less.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys as mi;

/// Alignment of every block that is at least as large, bytes (`MI_MAX_ALIGN_SIZE`).
const ORDINARY: usize = 16;

/// Memory by mimalloc.
pub(crate) struct Allocator;

fn ordinary(layout: &Layout) -> bool {
    layout.align() <= ORDINARY && layout.align() <= layout.size()
}

// SAFETY: blocks are aligned as asked for: by mimalloc where it is told to, and always where `ordinary` says so.
// What one function of mimalloc allocated every other one may free or move.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ordinary(&layout) {
            return unsafe { mi::mi_malloc(layout.size()) }.cast();
        }
        unsafe { mi::mi_malloc_aligned(layout.size(), layout.align()) }.cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if ordinary(&layout) {
            return unsafe { mi::mi_zalloc(layout.size()) }.cast();
        }
        unsafe { mi::mi_zalloc_aligned(layout.size(), layout.align()) }.cast()
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        unsafe { mi::mi_free(block.cast()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if ordinary(&layout) && layout.align() <= size {
            return unsafe { mi::mi_realloc(block.cast(), size) }.cast();
        }
        unsafe { mi::mi_realloc_aligned(block.cast(), size, layout.align()) }.cast()
    }
}

//! The one place where types are viewed as bytes: map keys and values are plain memory to the kernel.
#![allow(unsafe_code)]

use core::mem::{MaybeUninit, size_of};

/// Plain old data: every bit pattern is a value and there is no padding.
///
/// # Safety
/// The implementor is `repr(C)`, has no padding bytes, no pointers, and every bit pattern is valid.
pub unsafe trait Pod: Copy + 'static {
    /// The value as the bytes the kernel sees.
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: Pod has no padding, so all size_of::<Self>() bytes are initialised.
        unsafe { core::slice::from_raw_parts(core::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }

    /// Reads a value from the first bytes of `bytes`; `None` when there are too few.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < size_of::<Self>() {
            return None;
        }
        let mut value = MaybeUninit::<Self>::uninit();
        // SAFETY: the source holds size_of::<Self>() bytes, and every bit pattern is a valid Self.
        unsafe {
            core::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                value.as_mut_ptr().cast::<u8>(),
                size_of::<Self>(),
            );
            Some(value.assume_init())
        }
    }

    /// The value whose bytes are all zero.
    fn zeroed() -> Self {
        // SAFETY: every bit pattern, zero included, is a valid Self.
        unsafe { MaybeUninit::<Self>::zeroed().assume_init() }
    }
}

macro_rules! pod {
    ($($t:ty = $size:literal),* $(,)?) => {
        $(
            // SAFETY: repr(C) made of integers and byte arrays; the size check shows that there is no padding.
            unsafe impl Pod for $t {}
            const _: () = assert!(size_of::<$t>() == $size);
        )*
    };
}

pod! {
    u8 = 1, u16 = 2, u32 = 4, u64 = 8,
    crate::config::Config = 64,
    crate::event::Event = 96,
    crate::flow::Flow = 88,
    crate::flow::FlowKey4 = 16,
    crate::flow::FlowKey6 = 40,
    crate::flow::FragmentKey = 44,
    crate::flow::FragmentPorts = 8,
    crate::tables::BridgeEntry = 8,
    crate::tables::BridgeKey = 8,
    crate::tables::Counters = 32,
    crate::tables::DropKey = 8,
    crate::tables::Interface = 32,
    crate::tables::Label = 8,
    crate::tables::LpmKey4 = 12,
    crate::tables::LpmKey6 = 24,
    crate::tables::NextHop = 56,
    crate::tables::Route = 16,
    crate::tables::Vni = 8,
    crate::tables::Vrf = 8,
    crate::trap::InjectHeader = 32,
    crate::trap::TrapHeader = 32,
    crate::verdict::RuleList = 200,
    crate::verdict::Verdict = 12,
    crate::verdict::VerdictKey = 16,
}

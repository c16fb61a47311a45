//! Books every sample on one item.
//!
//! In the kernel that is the system call. In user code it is the innermost function of Phalanx's own, whatever of the
//! runtime, the standard library or the C library it called.

use std::collections::{BTreeMap, BTreeSet};

/// What perf saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Samples {
    pub(super) total: u64,
    /// By system call.
    pub(super) calls: BTreeMap<String, u64>,
    /// In the kernel, but in no system call.
    pub(super) other_kernel: u64,
    /// By function of Phalanx's own.
    pub(super) functions: BTreeMap<String, Function>,
    /// In user code with none of Phalanx's own functions in the stack.
    pub(super) runtime: u64,
}

/// What was seen of one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Function {
    /// In user code, with no other function of Phalanx's own further in.
    pub(super) own: u64,
    /// Anywhere below it, system calls included.
    pub(super) inclusive: u64,
}

impl Samples {
    /// Reads `perf script --fields ip,sym,dso`: a line for each frame, innermost first, an empty line after each stack.
    pub(super) fn parse(script: &str) -> Self {
        let mut samples = Self::default();
        let mut stack: Vec<Frame<'_>> = Vec::new();
        for line in script.lines().chain([""]) {
            if !line.trim().is_empty() {
                stack.extend(Frame::parse(line));
            } else if !stack.is_empty() {
                samples.book(&stack);
                stack.clear();
            }
        }
        samples
    }

    pub(super) fn in_calls(&self) -> u64 {
        self.calls.values().sum()
    }

    pub(super) fn in_functions(&self) -> u64 {
        self.functions.values().map(|function| function.own).sum()
    }

    fn book(&mut self, stack: &[Frame<'_>]) {
        self.total += 1;
        let own = stack.iter().filter_map(Frame::own_function);
        for name in own.clone().collect::<BTreeSet<_>>() {
            self.functions.entry(name).or_default().inclusive += 1;
        }
        if stack[0].is_kernel {
            match stack.iter().find_map(Frame::system_call) {
                Some(name) => *self.calls.entry(name.to_owned()).or_default() += 1,
                None => self.other_kernel += 1,
            }
        } else {
            match own.clone().next() {
                Some(name) => self.functions.entry(name).or_default().own += 1,
                None => self.runtime += 1,
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    is_kernel: bool,
    symbol: &'a str,
}

impl<'a> Frame<'a> {
    /// `None` for what perf puts where it could not follow a stack any further.
    fn parse(line: &'a str) -> Option<Self> {
        let (address, rest) = line.trim().split_once(' ')?;
        let symbol = rest.rsplit_once(" (").map_or(rest, |(symbol, _file)| symbol);
        let is_end = address.bytes().all(|digit| digit == b'f');
        // The upper half of the addresses is the kernel's.
        let is_kernel = address.len() == 16 && address.starts_with('f');
        (!is_end).then_some(Self { is_kernel, symbol })
    }

    fn system_call(&self) -> Option<&'a str> {
        ["__x64_sys_", "__arm64_sys_"].iter().find_map(|prefix| self.symbol.strip_prefix(prefix))
    }

    /// The name of a function of Phalanx's own, or one that was made for one of its types; futures are called as the
    /// function that they come from.
    fn own_function(&self) -> Option<String> {
        let is_own = self.symbol.contains("phalanx_") && !self.is_kernel;
        is_own.then(|| self.symbol.replace("::{{closure}}", ""))
    }
}

#[cfg(test)]
mod tests {
    use super::{Function, Samples};

    const SCRIPT: &str = "
\tffffffff81e44270 sock_def_readable ([kernel.kallsyms])
\tffffffff81e2bef0 __x64_sys_sendto ([kernel.kallsyms])
\tffffffff821ea011 do_syscall_64 ([kernel.kallsyms])
\t          10aba4 __send (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t          4e39a3 phalanx_gateway::worker::write::write_all::{{closure}} (/target/release/phalanx)
\t          4d99d6 phalanx_gateway::connection::serve::{{closure}} (/target/release/phalanx)
\tffffffffffffffff [unknown] ([unknown])


\t           9633f _int_free (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t          4fbf7a core::ptr::drop_in_place<phalanx_gateway::worker::buffer::Output> (/target/release/phalanx)
\t          4d99d6 phalanx_gateway::connection::serve::{{closure}}::{{closure}} (/target/release/phalanx)
\t          4d99d6 phalanx_gateway::connection::serve::{{closure}} (/target/release/phalanx)
\t          50772d tokio::runtime::task::raw::poll (/target/release/phalanx)

\t          5de03f tokio::runtime::io::driver::Driver::turn (/target/release/phalanx)
\t          1098eb clone3 (/usr/lib/x86_64-linux-gnu/libc.so.6)

\tffffffff81000b86 asm_sysvec_apic_timer_interrupt ([kernel.kallsyms])
\t          4d99d6 phalanx_gateway::connection::serve::{{closure}} (/target/release/phalanx)
";

    #[test]
    fn every_sample_is_booked_once() {
        let samples = Samples::parse(SCRIPT);
        let function = |own, inclusive| Function { own, inclusive };
        let expected = Samples {
            total: 4,
            calls: [("sendto".to_owned(), 1)].into(),
            other_kernel: 1,
            functions: [
                ("phalanx_gateway::worker::write::write_all", function(0, 1)),
                ("phalanx_gateway::connection::serve", function(0, 3)),
                ("core::ptr::drop_in_place<phalanx_gateway::worker::buffer::Output>", function(1, 1)),
            ]
            .map(|(name, function)| (name.to_owned(), function))
            .into(),
            runtime: 1,
        };
        assert_eq!(samples, expected);
        assert_eq!(
            samples.in_calls() + samples.other_kernel + samples.in_functions() + samples.runtime,
            samples.total
        );
        assert_eq!(Samples::parse("\n\n"), Samples::default());
    }
}

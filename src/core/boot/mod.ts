/** What boots an image: entries of boot loaders, unified kernel images, the kernel's command line. */

export { BootEntryFile } from "./entry-file.ts";
export { composefsDigestIn, splitKernelCmdline } from "./kernel-cmdline.ts";
export { findPeSection } from "./pe-section.ts";

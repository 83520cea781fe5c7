/* SPDX-License-Identifier: MIT */
/*
 * What `info mtree -f` of QEMU 7.2 says about "system" for machines around their thresholds, with
 * firmware that shadowed itself, under KVM, with NUMA nodes, DIMMs and devices' memory.
 */
#ifndef KD_TESTS_VM_MTREE_SAMPLES_H
#define KD_TESTS_VM_MTREE_SAMPLES_H

/* clang-format off */
static const char mtree_pc_3583[] =
	"FlatView #1\r\n"
	" AS \"memory\", root: system\r\n"
	" AS \"cpu-memory-0\", root: system\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-00000000000bffff (prio 0, ram): m0\r\n"
	"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom\r\n"
	"  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000\r\n"
	"  0000000000100000-00000000dfefffff (prio 0, ram): m0 @0000000000100000\r\n"
	"  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\r\n"
	"  00000000fed00000-00000000fed003ff (prio 0, i/o): hpet\r\n"
	"  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi\r\n"
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
	"\r\n";

static const char mtree_pc_3584[] =
	"FlatView #1\r\n"
	" AS \"memory\", root: system\r\n"
	" AS \"cpu-memory-0\", root: system\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-00000000000bffff (prio 0, ram): m0\r\n"
	"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom\r\n"
	"  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000\r\n"
	"  0000000000100000-00000000bfffffff (prio 0, ram): m0 @0000000000100000\r\n"
	"  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\r\n"
	"  00000000fed00000-00000000fed003ff (prio 0, i/o): hpet\r\n"
	"  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi\r\n"
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
	"  0000000100000000-000000011fffffff (prio 0, ram): m0 @00000000c0000000\r\n"
	"\r\n";

static const char mtree_q35_2815[] =
	"FlatView #2\r\n"
	" AS \"memory\", root: system\r\n"
	" AS \"cpu-memory-0\", root: system\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-00000000000bffff (prio 0, ram): m0\r\n"
	"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom\r\n"
	"  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000\r\n"
	"  0000000000100000-00000000afefffff (prio 0, ram): m0 @0000000000100000\r\n"
	"  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\r\n"
	"  00000000fed00000-00000000fed003ff (prio 0, i/o): hpet\r\n"
	"  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi\r\n"
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
	"\r\n";

static const char mtree_q35_2816[] =
	"FlatView #0\r\n"
	" AS \"memory\", root: system\r\n"
	" AS \"cpu-memory-0\", root: system\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-00000000000bffff (prio 0, ram): m0\r\n"
	"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom\r\n"
	"  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000\r\n"
	"  0000000000100000-000000007fffffff (prio 0, ram): m0 @0000000000100000\r\n"
	"  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\r\n"
	"  00000000fed00000-00000000fed003ff (prio 0, i/o): hpet\r\n"
	"  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi\r\n"
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
	"  0000000100000000-000000012fffffff (prio 0, ram): m0 @0000000080000000\r\n"
	"\r\n";

static const char mtree_split[] =
	"FlatView #3\r\n"
	" AS \"memory\", root: system\r\n"
	" AS \"cpu-memory-0\", root: system\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-00000000000bffff (prio 0, ram): m0\r\n"
	"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom\r\n"
	"  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000\r\n"
	"  0000000000100000-000000003fffffff (prio 0, ram): m0 @0000000000100000\r\n"
	"  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\r\n"
	"  00000000fed00000-00000000fed003ff (prio 0, i/o): hpet\r\n"
	"  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi\r\n"
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
	"  0000000100000000-000000013fffffff (prio 0, ram): m0 @0000000040000000\r\n"
	"\r\n";

static const char mtree_shadowed_kvm[] =
	"FlatView #1\r\n"
	" AS \"memory\", root: system\r\n"
	" AS \"cpu-memory-0\", root: system\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-000000000009ffff (prio 0, ram): pc.ram KVM\r\n"
	"  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem\r\n"
	"  00000000000c0000-00000000000c9fff (prio 0, rom): pc.ram @00000000000c0000 KVM\r\n"
	"  00000000000ca000-00000000000ccfff (prio 0, ram): pc.ram @00000000000ca000 KVM\r\n"
	"  00000000000cd000-00000000000e7fff (prio 0, rom): pc.ram @00000000000cd000 KVM\r\n"
	"  00000000000e8000-00000000000effff (prio 0, ram): pc.ram @00000000000e8000 KVM\r\n"
	"  00000000000f0000-00000000000fffff (prio 0, rom): pc.ram @00000000000f0000 KVM\r\n"
	"  0000000000100000-000000000fffffff (prio 0, ram): pc.ram @0000000000100000 KVM\r\n"
	"  00000000fd000000-00000000fdffffff (prio 1, ram): vga.vram KVM\r\n"
	"  00000000febf0000-00000000febf017f (prio 0, i/o): edid\r\n"
	"  00000000febf0180-00000000febf03ff (prio 1, i/o): vga.mmio @0000000000000180\r\n"
	"  00000000febf0400-00000000febf041f (prio 0, i/o): vga ioports remapped\r\n"
	"  00000000febf0420-00000000febf04ff (prio 1, i/o): vga.mmio @0000000000000420\r\n"
	"  00000000febf0500-00000000febf0515 (prio 0, i/o): bochs dispi interface\r\n"
	"  00000000febf0516-00000000febf05ff (prio 1, i/o): vga.mmio @0000000000000516\r\n"
	"  00000000febf0600-00000000febf0607 (prio 0, i/o): qemu extended regs\r\n"
	"  00000000febf0608-00000000febf0fff (prio 1, i/o): vga.mmio @0000000000000608\r\n"
	"  00000000fec00000-00000000fec00fff (prio 0, i/o): kvm-ioapic\r\n"
	"  00000000fed00000-00000000fed003ff (prio 0, i/o): hpet\r\n"
	"  00000000fee00000-00000000feefffff (prio 4096, i/o): kvm-apic-msi\r\n"
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios KVM\r\n"
	"\r\n";

static const char mtree_q35_running[] =
	"FlatView #1\r\n"
	" AS \"memory\", root: system\r\n"
	" AS \"cpu-memory-0\", root: system\r\n"
	" AS \"ich9-ahci\", root: bus master container\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-000000000009ffff (prio 0, ram): pc.ram\r\n"
	"  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem\r\n"
	"  00000000000c0000-00000000000c9fff (prio 0, rom): pc.ram @00000000000c0000\r\n"
	"  00000000000ca000-00000000000ccfff (prio 0, ram): pc.ram @00000000000ca000\r\n"
	"  00000000000cd000-00000000000e7fff (prio 0, rom): pc.ram @00000000000cd000\r\n"
	"  00000000000e8000-00000000000effff (prio 0, ram): pc.ram @00000000000e8000\r\n"
	"  00000000000f0000-00000000000fffff (prio 0, rom): pc.ram @00000000000f0000\r\n"
	"  0000000000100000-000000000fffffff (prio 0, ram): pc.ram @0000000000100000\r\n"
	"  00000000b0000000-00000000bfffffff (prio 0, i/o): pcie-mmcfg-mmio\r\n"
	"  00000000fd000000-00000000fdffffff (prio 1, ram): vga.vram\r\n"
	"  00000000fe000000-00000000fe0fffff (prio 1, ram): sh\r\n"
	"  00000000febf0000-00000000febf017f (prio 0, i/o): edid\r\n"
	"  00000000febf0180-00000000febf03ff (prio 1, i/o): vga.mmio @0000000000000180\r\n"
	"  00000000febf0400-00000000febf041f (prio 0, i/o): vga ioports remapped\r\n"
	"  00000000febf0420-00000000febf04ff (prio 1, i/o): vga.mmio @0000000000000420\r\n"
	"  00000000febf0500-00000000febf0515 (prio 0, i/o): bochs dispi interface\r\n"
	"  00000000febf0516-00000000febf05ff (prio 1, i/o): vga.mmio @0000000000000516\r\n"
	"  00000000febf0600-00000000febf0607 (prio 0, i/o): qemu extended regs\r\n"
	"  00000000febf0608-00000000febf0fff (prio 1, i/o): vga.mmio @0000000000000608\r\n"
	"  00000000febf1000-00000000febf10ff (prio 1, i/o): ivshmem-mmio\r\n"
	"  00000000febf2000-00000000febf2fff (prio 1, i/o): ahci\r\n"
	"  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\r\n"
	"  00000000fed00000-00000000fed003ff (prio 0, i/o): hpet\r\n"
	"  00000000fed1c000-00000000fed1ffff (prio 1, i/o): lpc-rcrb-mmio\r\n"
	"  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi\r\n"
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
	"\r\n";

static const char mtree_numa[] =
	"FlatView #3\r\n"
	" AS \"memory\", root: system\r\n"
	" AS \"cpu-memory-0\", root: system\r\n"
	" AS \"ich9-ahci\", root: bus master container\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-00000000000c2fff (prio 0, ram): m0\r\n"
	"  00000000000c3000-00000000000e7fff (prio 0, rom): m0 @00000000000c3000\r\n"
	"  00000000000e8000-00000000000effff (prio 0, ram): m0 @00000000000e8000\r\n"
	"  00000000000f0000-00000000000fffff (prio 0, rom): m0 @00000000000f0000\r\n"
	"  0000000000100000-000000000fffffff (prio 0, ram): m0 @0000000000100000\r\n"
	"  0000000010000000-000000001fffffff (prio 0, ram): m1\r\n"
	"  00000000b0000000-00000000bfffffff (prio 0, i/o): pcie-mmcfg-mmio\r\n"
	"  00000000fea00000-00000000feafffff (prio 1, ram): sh\r\n"
	"  00000000febfe000-00000000febfe0ff (prio 1, i/o): ivshmem-mmio\r\n"
	"  00000000febff000-00000000febfffff (prio 1, i/o): ahci\r\n"
	"  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\r\n"
	"  00000000fed00000-00000000fed003ff (prio 0, i/o): hpet\r\n"
	"  00000000fed1c000-00000000fed1ffff (prio 1, i/o): lpc-rcrb-mmio\r\n"
	"  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi\r\n"
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
	"\r\n";

static const char mtree_dimm[] =
	"FlatView #3\r\n"
	" AS \"memory\", root: system\r\n"
	" AS \"cpu-memory-0\", root: system\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-00000000000bffff (prio 0, ram): pc.ram\r\n"
	"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom\r\n"
	"  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000\r\n"
	"  0000000000100000-000000001fffffff (prio 0, ram): pc.ram @0000000000100000\r\n"
	"  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\r\n"
	"  00000000fed00000-00000000fed003ff (prio 0, i/o): hpet\r\n"
	"  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi\r\n"
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
	"  0000000100000000-000000010fffffff (prio 0, ram): m1\r\n"
	"\r\n";

static const char mtree_canonical[] =
	"FlatView #2\r\n"
	" AS \"memory\", root: system\r\n"
	" AS \"cpu-memory-0\", root: system\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-00000000000bffff (prio 0, ram): /objects/m0\r\n"
	"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom\r\n"
	"  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000\r\n"
	"  0000000000100000-000000001fffffff (prio 0, ram): /objects/m0 @0000000000100000\r\n"
	"  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic\r\n"
	"  00000000fed00000-00000000fed003ff (prio 0, i/o): hpet\r\n"
	"  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi\r\n"
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
	"\r\n";
/* clang-format on */

#endif

/* SPDX-License-Identifier: MIT */
/* Fields of the commonly read registers of a vCPU: ARM DDI 0487, part D (AArch64). */
#include "register_tables.h"

static const struct register_value modes[] = {
	{ 0, "EL0t" }, { 4, "EL1t" }, { 5, "EL1h" }, { 8, "EL2t" }, { 9, "EL2h" }, { 0x10, "usr32" }, { 0, NULL },
};

/* PSTATE in KVM has the layout of SPSR. */
static const struct register_field pstate[] = {
	NAMED(4, 0, "M", modes), FLAG(6, "F"), FLAG(7, "I"), FLAG(8, "A"), FLAG(9, "D"), FIELD(11, 10, "BTYPE"),
	FLAG(12, "SSBS"), FLAG(13, "ALLINT"), FLAG(20, "IL"), FLAG(21, "SS"), FLAG(22, "PAN"), FLAG(23, "UAO"),
	FLAG(24, "DIT"), FLAG(25, "TCO"), FLAG(28, "V"), FLAG(29, "C"), FLAG(30, "Z"), FLAG(31, "N"), END,
};

static const struct register_field sctlr[] = {
	SWITCH(0, "M"), FLAG(1, "A"), SWITCH(2, "C"), FLAG(3, "SA"), FLAG(4, "SA0"), FLAG(5, "CP15BEN"), FLAG(6, "nAA"),
	FLAG(7, "ITD"), FLAG(8, "SED"), FLAG(9, "UMA"), FLAG(10, "EnRCTX"), FLAG(11, "EOS"), SWITCH(12, "I"),
	FLAG(13, "EnDB"), FLAG(14, "DZE"), FLAG(15, "UCT"), FLAG(16, "nTWI"), FLAG(18, "nTWE"), FLAG(19, "WXN"),
	FLAG(20, "TSCXT"), FLAG(21, "IESB"), FLAG(22, "EIS"), FLAG(23, "SPAN"), FLAG(24, "E0E"), FLAG(25, "EE"),
	FLAG(26, "UCI"), FLAG(27, "EnDA"), FLAG(28, "nTLSMD"), FLAG(29, "LSMAOE"), FLAG(30, "EnIB"), FLAG(31, "EnIA"),
	FLAG(32, "CMOW"), FLAG(33, "MSCEn"), FLAG(35, "BT0"), FLAG(36, "BT1"), FLAG(37, "ITFSB"), FIELD(39, 38, "TCF0"),
	FIELD(41, 40, "TCF"), FLAG(42, "ATA0"), FLAG(43, "ATA"), FLAG(44, "DSSBS"), FLAG(45, "TWEDEn"),
	FIELD(49, 46, "TWEDEL"), FLAG(50, "TMT0"), FLAG(51, "TMT"), FLAG(52, "TME0"), FLAG(53, "TME"), FLAG(54, "EnASR"),
	FLAG(55, "EnAS0"), FLAG(56, "EnALS"), FLAG(57, "EPAN"), FLAG(58, "TCSO0"), FLAG(59, "TCSO"), FLAG(60, "EnTP2"),
	FLAG(61, "NMI"), FLAG(62, "SPINTMASK"), FLAG(63, "TIDCP"), END,
};

static const struct register_value granules_0[] = { { 0, "4K" }, { 1, "64K" }, { 2, "16K" }, { 0, NULL } };
static const struct register_value granules_1[] = { { 1, "16K" }, { 2, "4K" }, { 3, "64K" }, { 0, NULL } };
static const struct register_value address_bits[] = {
	{ 0, "32" }, { 1, "36" }, { 2, "40" }, { 3, "42" }, { 4, "44" }, { 5, "48" }, { 6, "52" }, { 7, "56" }, { 0, NULL },
};

static const struct register_field tcr[] = {
	FIELD(5, 0, "T0SZ"), FLAG(7, "EPD0"), FIELD(9, 8, "IRGN0"), FIELD(11, 10, "ORGN0"), FIELD(13, 12, "SH0"),
	NAMED(15, 14, "TG0", granules_0), FIELD(21, 16, "T1SZ"), FLAG(22, "A1"), FLAG(23, "EPD1"), FIELD(25, 24, "IRGN1"),
	FIELD(27, 26, "ORGN1"), FIELD(29, 28, "SH1"), NAMED(31, 30, "TG1", granules_1), NAMED(34, 32, "IPS", address_bits),
	FLAG(36, "AS"), FLAG(37, "TBI0"), FLAG(38, "TBI1"), FLAG(39, "HA"), FLAG(40, "HD"), FLAG(41, "HPD0"),
	FLAG(42, "HPD1"), FLAG(43, "HWU059"), FLAG(44, "HWU060"), FLAG(45, "HWU061"), FLAG(46, "HWU062"),
	FLAG(47, "HWU159"), FLAG(48, "HWU160"), FLAG(49, "HWU161"), FLAG(50, "HWU162"), FLAG(51, "TBID0"),
	FLAG(52, "TBID1"), FLAG(53, "NFD0"), FLAG(54, "NFD1"), FLAG(55, "E0PD0"), FLAG(56, "E0PD1"), FLAG(57, "TCMA0"),
	FLAG(58, "TCMA1"), FLAG(59, "DS"), FLAG(60, "MTX0"), FLAG(61, "MTX1"), END,
};

static const struct register_value exception_classes[] = {
	{ 0x00, "unknown" }, { 0x01, "WFx" }, { 0x03, "CP15-MCR" }, { 0x04, "CP15-MCRR" }, { 0x05, "CP14-MCR" },
	{ 0x06, "CP14-LDC" }, { 0x07, "FP-trap" }, { 0x09, "PAuth-trap" }, { 0x0a, "LS64-trap" }, { 0x0c, "CP14-MRRC" },
	{ 0x0d, "BTI" }, { 0x0e, "illegal-state" }, { 0x11, "SVC32" }, { 0x15, "SVC64" }, { 0x18, "MSR-trap" },
	{ 0x19, "SVE-trap" }, { 0x1c, "PAuth-failure" }, { 0x1d, "SME-trap" }, { 0x20, "instruction-abort-EL0" },
	{ 0x21, "instruction-abort" }, { 0x22, "PC-alignment" }, { 0x24, "data-abort-EL0" }, { 0x25, "data-abort" },
	{ 0x26, "SP-alignment" }, { 0x27, "memory-copy" }, { 0x28, "FP32" }, { 0x2c, "FP64" }, { 0x2d, "GCS" },
	{ 0x2f, "SError" }, { 0x30, "breakpoint-EL0" }, { 0x31, "breakpoint" }, { 0x32, "step-EL0" }, { 0x33, "step" },
	{ 0x34, "watchpoint-EL0" }, { 0x35, "watchpoint" }, { 0x38, "BKPT32" }, { 0x3c, "BRK64" }, { 0, NULL },
};

static const struct register_field esr[] = {
	IN_PLACE(24, 0, "ISS"), FLAG(25, "IL"), NAMED(31, 26, "EC", exception_classes), FIELD(55, 32, "ISS2"), END,
};

static const struct register_value traps[] = {
	{ 0, "trapped" }, { 1, "EL0-trapped" }, { 2, "trapped" }, { 3, "on" }, { 0, NULL },
};
static const struct register_field cpacr[] = {
	NAMED(17, 16, "ZEN", traps), NAMED(21, 20, "FPEN", traps), NAMED(25, 24, "SMEN", traps), FLAG(28, "TTA"),
	FLAG(29, "E0POE"), FLAG(30, "TAM"), FLAG(31, "TCPAC"), END,
};

static const struct register_field timer_control[] = {
	SWITCH(0, "ENABLE"), SWITCH(1, "IMASK"), SWITCH(2, "ISTATUS"), END,
};
static const struct register_field cntkctl[] = {
	FLAG(0, "EL0PCTEN"), FLAG(1, "EL0VCTEN"), FLAG(2, "EVNTEN"), FLAG(3, "EVNTDIR"), FIELD(7, 4, "EVNTI"),
	FLAG(8, "EL0VTEN"), FLAG(9, "EL0PTEN"), FLAG(17, "EVNTIS"), END,
};

static const struct register_field mpidr[] = {
	NAMED(7, 0, "Aff0", VALUES({ 0, "0" })), NAMED(15, 8, "Aff1", VALUES({ 0, "0" })),
	NAMED(23, 16, "Aff2", VALUES({ 0, "0" })), FLAG(24, "MT"), FLAG(30, "U"),
	NAMED(39, 32, "Aff3", VALUES({ 0, "0" })), END,
};

static const struct register_field ttbr[] = {
	FLAG(0, "CnP"), IN_PLACE(47, 1, "BADDR"), FIELD(63, 48, "ASID"), END,
};

static const struct register_value attributes[] = {
	{ 0x00, "Device-nGnRnE" }, { 0x04, "Device-nGnRE" }, { 0x08, "Device-nGRE" }, { 0x0c, "Device-GRE" },
	{ 0x44, "Normal-NC" }, { 0xbb, "Normal-WT" }, { 0xf0, "Normal-Tagged" }, { 0xff, "Normal-WB" }, { 0, NULL },
};
static const struct register_field mair[] = {
	NAMED(7, 0, "Attr0", attributes), NAMED(15, 8, "Attr1", attributes), NAMED(23, 16, "Attr2", attributes),
	NAMED(31, 24, "Attr3", attributes), NAMED(39, 32, "Attr4", attributes), NAMED(47, 40, "Attr5", attributes),
	NAMED(55, 48, "Attr6", attributes), NAMED(63, 56, "Attr7", attributes), END,
};

static const struct register_field mdscr[] = {
	FLAG(0, "SS"), FLAG(6, "ERR"), FLAG(12, "TDCC"), FLAG(13, "KDE"), FLAG(14, "HDE"), FLAG(15, "MDE"), END,
};
static const struct register_field pmcr[] = {
	SWITCH(0, "E"), FLAG(1, "P"), FLAG(2, "C"), FLAG(3, "D"), FLAG(4, "X"), FLAG(5, "DP"), FLAG(6, "LC"), FLAG(7, "LP"),
	FIELD(15, 11, "N"), FIELD(23, 16, "IDCODE"), FIELD(31, 24, "IMP"), END,
};

const struct register_table cpu_register_tables[] = {
	{ "pstate", pstate },
	{ "SPSR_EL1", pstate },
	{ "SCTLR_EL1", sctlr },
	{ "TCR_EL1", tcr },
	{ "ESR_EL1", esr },
	{ "CPACR_EL1", cpacr },
	{ "CNTV_CTL_EL0", timer_control },
	{ "CNTP_CTL_EL0", timer_control },
	{ "CNTKCTL_EL1", cntkctl },
	{ "MPIDR_EL1", mpidr },
	{ "TTBR#_EL1", ttbr },
	{ "MAIR_EL1", mair },
	{ "MDSCR_EL1", mdscr },
	{ "PMCR_EL0", pmcr },
	{ NULL, NULL },
};

/* SPDX-License-Identifier: MIT */
/* Fields of the GIC's registers: ARM IHI 0069 H, chapter 12. */
#include "register_tables.h"

static const struct register_value shareability[] = {
	{ 0, "non" }, { 1, "inner" }, { 2, "outer" }, { 0, NULL },
};
static const struct register_value inner_cache[] = {
	{ 0, "Device-nGnRnE" }, { 1, "NC" }, { 2, "RaWt" }, { 3, "RaWb" }, { 4, "WaWt" }, { 5, "WaWb" }, { 6, "RaWaWt" },
	{ 7, "RaWaWb" }, { 0, NULL },
};
static const struct register_value outer_cache[] = {
	{ 0, "as-inner" }, { 1, "NC" }, { 2, "RaWt" }, { 3, "RaWb" }, { 4, "WaWt" }, { 5, "WaWb" }, { 6, "RaWaWt" },
	{ 7, "RaWaWb" }, { 0, NULL },
};
static const struct register_value page_sizes[] = { { 0, "4K" }, { 1, "16K" }, { 2, "64K" }, { 0, NULL } };
static const struct register_value table_types[] = {
	{ 0, "none" }, { 1, "devices" }, { 2, "vPEs" }, { 4, "collections" }, { 0, NULL },
};

static const struct register_field identity[] = {
	IN_PLACE(11, 0, "Implementer"), FIELD(15, 12, "Revision"), FIELD(19, 16, "Variant"), FIELD(31, 24, "ProductID"), END,
};

static const struct register_field gits_ctlr[] = {
	SWITCH(0, "Enabled"), FLAG(1, "ImDe"), FIELD(7, 4, "ITS_Number"), FLAG(8, "UMSIirq"), SWITCH(31, "Quiescent"), END,
};
static const struct register_field gits_typer[] = {
	FLAG(0, "Physical"), FLAG(1, "Virtual"), FLAG(2, "CCT"), FIELD(7, 4, "ITT_entry_size"), FIELD(12, 8, "ID_bits"),
	FIELD(17, 13, "Devbits"), FLAG(18, "SEIS"), FLAG(19, "PTA"), FIELD(31, 24, "HCC"), FIELD(35, 32, "CIDbits"),
	FLAG(36, "CIL"), FLAG(37, "VMOVP"), FLAG(38, "MPAM"), FLAG(39, "VSGI"), FLAG(40, "VMAPP"), FIELD(42, 41, "SVPET"),
	FLAG(43, "nID"), FLAG(44, "UMSI"), FLAG(45, "UMSIirq"), FLAG(46, "INV"), END,
};
static const struct register_field gits_cbaser[] = {
	FIELD(7, 0, "Size"), NAMED(11, 10, "Shareability", shareability), IN_PLACE(51, 12, "Physical_Address"),
	NAMED(55, 53, "OuterCache", outer_cache), NAMED(61, 59, "InnerCache", inner_cache), SWITCH(63, "Valid"), END,
};
static const struct register_field gits_cwriter[] = {
	FLAG(0, "Retry"), IN_PLACE(19, 5, "Offset"), END,
};
static const struct register_field gits_creadr[] = {
	FLAG(0, "Stalled"), IN_PLACE(19, 5, "Offset"), END,
};
static const struct register_field gits_baser[] = {
	FIELD(7, 0, "Size"), NAMED(9, 8, "Page_Size", page_sizes), NAMED(11, 10, "Shareability", shareability),
	IN_PLACE(47, 12, "Physical_Address"), FIELD(52, 48, "Entry_Size"), NAMED(55, 53, "OuterCache", outer_cache),
	NAMED(58, 56, "Type", table_types), NAMED(61, 59, "InnerCache", inner_cache), FLAG(62, "Indirect"),
	SWITCH(63, "Valid"), END,
};

/* With one Security state, as KVM has it: DS is set. */
static const struct register_field gicd_ctlr[] = {
	SWITCH(0, "EnableGrp0"), SWITCH(1, "EnableGrp1"), FLAG(4, "ARE"), FLAG(6, "DS"), FLAG(7, "E1NWF"),
	FLAG(8, "nASSGIreq"), FLAG(31, "RWP"), END,
};
static const struct register_field gicd_typer[] = {
	FIELD(4, 0, "ITLinesNumber"), FIELD(7, 5, "CPUNumber"), FLAG(8, "ESPI"), FLAG(9, "NMI"), FLAG(10, "SecurityExtn"),
	FIELD(15, 11, "num_LPIs"), FLAG(16, "MBIS"), FLAG(17, "LPIS"), FLAG(18, "DVIS"), FIELD(23, 19, "IDbits"),
	FLAG(24, "A3V"), FLAG(25, "No1N"), FLAG(26, "RSS"), FIELD(31, 27, "ESPI_range"), END,
};

static const struct register_field gicr_ctlr[] = {
	SWITCH(0, "EnableLPIs"), FLAG(1, "CES"), FLAG(2, "IR"), FLAG(3, "RWP"), FLAG(24, "DPG0"), FLAG(25, "DPG1NS"),
	FLAG(26, "DPG1S"), FLAG(31, "UWP"), END,
};
static const struct register_field gicr_typer[] = {
	FLAG(0, "PLPIS"), FLAG(1, "VLPIS"), FLAG(2, "Dirty"), FLAG(3, "DirectLPI"), FLAG(4, "Last"), FLAG(5, "DPGS"),
	FLAG(6, "MPAM"), FLAG(7, "RVPEID"), FIELD(23, 8, "Processor_Number"), FIELD(25, 24, "CommonLPIAff"),
	FLAG(26, "VSGI"), FIELD(31, 27, "PPInum"), FIELD(39, 32, "Aff0"), FIELD(47, 40, "Aff1"), FIELD(55, 48, "Aff2"),
	FIELD(63, 56, "Aff3"), END,
};
static const struct register_field gicr_propbaser[] = {
	FIELD(4, 0, "IDbits"), NAMED(9, 7, "InnerCache", inner_cache), NAMED(11, 10, "Shareability", shareability),
	IN_PLACE(51, 12, "Physical_Address"), NAMED(58, 56, "OuterCache", outer_cache), END,
};
static const struct register_field gicr_pendbaser[] = {
	NAMED(9, 7, "InnerCache", inner_cache), NAMED(11, 10, "Shareability", shareability),
	IN_PLACE(51, 16, "Physical_Address"), NAMED(58, 56, "OuterCache", outer_cache), FLAG(62, "PTZ"), END,
};

static const struct register_field icc_sre[] = {
	SWITCH(0, "SRE"), FLAG(1, "DFB"), FLAG(2, "DIB"), END,
};
static const struct register_field icc_ctlr[] = {
	FLAG(0, "CBPR"), SWITCH(1, "EOImode"), FLAG(6, "PMHE"), FIELD(10, 8, "PRIbits"), FIELD(13, 11, "IDbits"),
	FLAG(14, "SEIS"), FLAG(15, "A3V"), FLAG(18, "RSS"), FLAG(19, "ExtRange"), END,
};
static const struct register_field icc_pmr[] = {
	NAMED(7, 0, "Priority", VALUES({ 0, "0" })), END,
};
static const struct register_field icc_bpr[] = {
	NAMED(2, 0, "BinaryPoint", VALUES({ 0, "0" })), END,
};
static const struct register_field icc_igrpen[] = {
	SWITCH(0, "Enable"), END,
};
static const struct register_field icc_apr[] = {
	IN_PLACE(31, 0, "Active_Priorities"), END,
};

const struct register_table gic_register_tables[] = {
	{ "GITS_CTLR", gits_ctlr },
	{ "GITS_IIDR", identity },
	{ "GITS_TYPER", gits_typer },
	{ "GITS_CBASER", gits_cbaser },
	{ "GITS_CWRITER", gits_cwriter },
	{ "GITS_CREADR", gits_creadr },
	{ "GITS_BASER#", gits_baser },
	{ "GICD_CTLR", gicd_ctlr },
	{ "GICD_TYPER", gicd_typer },
	{ "GICD_IIDR", identity },
	{ "GICR_CTLR", gicr_ctlr },
	{ "GICR_TYPER", gicr_typer },
	{ "GICR_PROPBASER", gicr_propbaser },
	{ "GICR_PENDBASER", gicr_pendbaser },
	{ "ICC_SRE_EL1", icc_sre },
	{ "ICC_CTLR_EL1", icc_ctlr },
	{ "ICC_PMR_EL1", icc_pmr },
	{ "ICC_BPR#_EL1", icc_bpr },
	{ "ICC_IGRPEN#_EL1", icc_igrpen },
	{ "ICC_AP#R#_EL1", icc_apr },
	{ NULL, NULL },
};

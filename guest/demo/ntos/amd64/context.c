/* SPDX-License-Identifier: MIT */
/* Registers between frames, CONTEXTs and processor states. */
#include "guest/demo/ntos/inc/kd.h"
#include "guest/demo/ntos/inc/ki.h"

static VOID copy(PVOID to, const VOID *from, SIZE_T n)
{
	__builtin_memcpy(to, from, n);
}

static VOID context_from_frames(const KTRAP_FRAME *tf, const KEXCEPTION_FRAME *ex, PCONTEXT c)
{
	c->Rax = tf->Rax;
	c->Rcx = tf->Rcx;
	c->Rdx = tf->Rdx;
	c->R8 = tf->R8;
	c->R9 = tf->R9;
	c->R10 = tf->R10;
	c->R11 = tf->R11;
	c->Rbp = tf->Rbp;
	c->Rbx = ex->Rbx;
	c->Rdi = ex->Rdi;
	c->Rsi = ex->Rsi;
	c->R12 = ex->R12;
	c->R13 = ex->R13;
	c->R14 = ex->R14;
	c->R15 = ex->R15;
}

VOID KeContextFromKframes(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame,
			  PCONTEXT Context)
{
	PKTRAP_FRAME tf = TrapFrame;
	BOOLEAN user = TRAP_IS_USER(tf);

	Context->P1Home = Context->P2Home = Context->P3Home = 0;
	Context->P4Home = Context->P5Home = Context->P6Home = 0;
	context_from_frames(tf, ExceptionFrame, Context);
	Context->Rip = tf->Rip;
	Context->Rsp = tf->Rsp;
	Context->EFlags = tf->EFlags;
	Context->SegCs = tf->SegCs;
	Context->SegSs = tf->SegSs;
	Context->SegDs = KGDT64_R3_DATA | RPL_MASK;
	Context->SegEs = KGDT64_R3_DATA | RPL_MASK;
	Context->SegGs = KGDT64_R3_DATA | RPL_MASK;
	Context->SegFs = user ? KGDT64_R3_CMTEB | RPL_MASK : KGDT64_R3_DATA | RPL_MASK;
	/* Ring 0 never touches the FPU, so what is in it belongs to the interrupted code, but for
	 * xmm0-5 and 6-15, which assembly may have passed through: those come from the frames. */
	__asm__ volatile("fxsave %0" : "=m"(Context->FltSave));
	copy(&Context->FltSave.XmmRegisters[0], &tf->Xmm0, 6 * sizeof(M128A));
	copy(&Context->FltSave.XmmRegisters[6], &ExceptionFrame->Xmm6, 10 * sizeof(M128A));
	Context->MxCsr = tf->MxCsr;
	Context->FltSave.MxCsr = tf->MxCsr;
	Context->Dr0 = Context->Dr1 = Context->Dr2 = Context->Dr3 = 0;
	Context->Dr6 = Context->Dr7 = 0; /* of the thread; the kernel's are in the PRCB */
	Context->ContextFlags = CONTEXT_ALL;
}

static VOID floating_to_frames(PKTRAP_FRAME tf, PKEXCEPTION_FRAME ex, PCONTEXT c)
{
	copy(&tf->Xmm0, &c->FltSave.XmmRegisters[0], 6 * sizeof(M128A));
	copy(&ex->Xmm6, &c->FltSave.XmmRegisters[6], 10 * sizeof(M128A));
	tf->MxCsr = c->MxCsr & 0xFFBF; /* reserved bits would fault in ldmxcsr */
	c->FltSave.MxCsr = tf->MxCsr;
	__asm__ volatile("fxrstor %0" : : "m"(c->FltSave));
}

VOID KeContextToKframes(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, PCONTEXT Context,
			ULONG ContextFlags, KPROCESSOR_MODE PreviousMode)
{
	PKTRAP_FRAME tf = TrapFrame;
	PKEXCEPTION_FRAME ex = ExceptionFrame;
	PCONTEXT c = Context;

	if ((ContextFlags & CONTEXT_CONTROL) == CONTEXT_CONTROL) {
		tf->Rip = c->Rip;
		tf->Rsp = c->Rsp;
		tf->EFlags = (c->EFlags & EFLAGS_SETTABLE) | 2;
		if (PreviousMode == UserMode) {
			tf->EFlags |= EFLAGS_IF;
			tf->SegCs = KGDT64_R3_CODE | RPL_MASK;
			tf->SegSs = KGDT64_R3_DATA | RPL_MASK;
		} else {
			tf->EFlags |= c->EFlags & EFLAGS_IF;
			tf->SegCs = KGDT64_R0_CODE;
			tf->SegSs = KGDT64_R0_DATA;
		}
	}
	if ((ContextFlags & CONTEXT_INTEGER) == CONTEXT_INTEGER) {
		tf->Rax = c->Rax;
		tf->Rcx = c->Rcx;
		tf->Rdx = c->Rdx;
		tf->R8 = c->R8;
		tf->R9 = c->R9;
		tf->R10 = c->R10;
		tf->R11 = c->R11;
		tf->Rbp = c->Rbp;
		ex->Rbx = c->Rbx;
		ex->Rdi = c->Rdi;
		ex->Rsi = c->Rsi;
		ex->R12 = c->R12;
		ex->R13 = c->R13;
		ex->R14 = c->R14;
		ex->R15 = c->R15;
	}
	if ((ContextFlags & CONTEXT_FLOATING_POINT) == CONTEXT_FLOATING_POINT)
		floating_to_frames(tf, ex, c);
}

VOID KiSaveMachineRegisters(PKSPECIAL_REGISTERS Registers)
{
	PKSPECIAL_REGISTERS s = Registers;

	s->Cr8 = KiReadCr8();
	__asm__ volatile("stmxcsr %0" : "=m"(s->MxCsr));
	s->MsrGsBase = KiReadMsr(MSR_GS_BASE);
	s->MsrGsSwap = KiReadMsr(MSR_GS_SWAP);
	s->MsrStar = KiReadMsr(MSR_STAR);
	s->MsrLStar = KiReadMsr(MSR_LSTAR);
	s->MsrCStar = KiReadMsr(MSR_CSTAR);
	s->MsrSyscallMask = KiReadMsr(MSR_SYSCALL_MASK);
	s->MsrFsBase = KiReadMsr(MSR_FS_BASE);
}

static VOID restore_msr(ULONG msr, ULONG64 value)
{
	if (KiReadMsr(msr) != value)
		KiWriteMsrSafe(msr, value);
}

VOID KiRestoreMachineRegisters(const KSPECIAL_REGISTERS *Registers)
{
	const KSPECIAL_REGISTERS *s = Registers;

	restore_msr(MSR_STAR, s->MsrStar);
	restore_msr(MSR_LSTAR, s->MsrLStar);
	restore_msr(MSR_CSTAR, s->MsrCStar);
	restore_msr(MSR_SYSCALL_MASK, s->MsrSyscallMask);
	restore_msr(MSR_FS_BASE, s->MsrFsBase);
	restore_msr(MSR_GS_SWAP, s->MsrGsSwap);
}

VOID KiNoteFrozenIrql(PKTRAP_FRAME TrapFrame)
{
	KeGetPcr()->Irql = TrapFrame->PreviousIrql;
}

BOOLEAN KiIsTryFrameAbove(const KTRY_FRAME *Frame, const CONTEXT *Context, PVOID StackBase)
{
	return Frame->Rsp >= Context->Rsp && Frame->Rsp <= (ULONG64)(ULONG_PTR)StackBase;
}

VOID KiResumeAtTryFrame(const KTRY_FRAME *Frame, PCONTEXT Context, NTSTATUS Code)
{
	Context->Rax = (ULONG)Code;
	Context->Rip = Frame->Rip;
	Context->Rsp = Frame->Rsp;
	Context->Rbp = Frame->Rbp;
	Context->Rbx = Frame->Rbx;
	Context->Rsi = Frame->Rsi;
	Context->Rdi = Frame->Rdi;
	Context->R12 = Frame->R12;
	Context->R13 = Frame->R13;
	Context->R14 = Frame->R14;
	Context->R15 = Frame->R15;
}

ULONG_PTR KiDebugServiceArgument(const CONTEXT *Context, ULONG Number)
{
	switch (Number) {
	case 1: return Context->Rcx;
	case 2: return Context->Rdx;
	case 3: return Context->R8;
	default: return Context->R9;
	}
}

VOID KiSetDebugServiceResult(PCONTEXT Context, ULONG Result)
{
	Context->Rax = Result;
}

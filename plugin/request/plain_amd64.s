#include "textflag.h"

DATA quote<>+0(SB)/1, $0x22
GLOBL quote<>(SB), RODATA|NOPTR, $1
DATA backslash<>+0(SB)/1, $0x5c
GLOBL backslash<>(SB), RODATA|NOPTR, $1
DATA control<>+0(SB)/1, $0x1f
GLOBL control<>(SB), RODATA|NOPTR, $1
DATA nibble<>+0(SB)/1, $0x0f
GLOBL nibble<>(SB), RODATA|NOPTR, $1

// The characters of the usual escapes, one bit for each row of the ASCII table
// that has some: 1 for 2x (" /), 2 for 5x (\), 4 for 6x (b f n), 8 for 7x (r t).
// A byte is one of them when its low nibble's entry and its high nibble's have a
// bit in common.
DATA low<>+0(SB)/8, $0x00040008000d0000  // 2: " b r, 4: t, 6: f
DATA low<>+8(SB)/8, $0x0104000200000000  // c: \, e: n, f: /
GLOBL low<>(SB), RODATA|NOPTR, $16
DATA high<>+0(SB)/8, $0x0804020000010000 // 2, 5, 6, 7
DATA high<>+8(SB)/8, $0x0000000000000000
GLOBL high<>(SB), RODATA|NOPTR, $16

// func plainBlocks(raw []byte, i int) int
//
// It reads 32 bytes at a time as long as there are 32. A mask has one bit a byte.
TEXT ·plainBlocks(SB), NOSPLIT, $0-40
	MOVQ raw_base+0(FP), SI
	MOVQ raw_len+8(FP), CX
	MOVQ i+24(FP), DI
	XORL R8, R8            // 1 when the block's first byte is escaped by the one before
	SUBQ $32, CX           // the last offset of a block
	CMPQ DI, CX
	JGT  done
	VPBROADCASTB   quote<>(SB), Y0
	VPBROADCASTB   backslash<>(SB), Y1
	VPBROADCASTB   control<>(SB), Y2
	VPBROADCASTB   nibble<>(SB), Y3
	VBROADCASTI128 low<>(SB), Y4
	VBROADCASTI128 high<>(SB), Y5
	VPXOR          Y6, Y6, Y6

block:
	VMOVDQU   (SI)(DI*1), Y7
	VPCMPEQB  Y7, Y0, Y8
	VPMINUB   Y7, Y2, Y9
	VPCMPEQB  Y7, Y9, Y9
	VPOR      Y8, Y9, Y8
	VPMOVMSKB Y8, AX       // quotes and control characters
	VPCMPEQB  Y7, Y1, Y8
	VPMOVMSKB Y8, BX       // backslashes
	MOVL      BX, DX
	ORL       R8, DX
	JNZ       escapes
	TESTL     AX, AX
	JNZ       stop

next:
	ADDQ $32, DI
	CMPQ DI, CX
	JLE  block

end:
	VZEROUPPER

done:
	SUBQ R8, DI            // an escape that is cut in two is left whole
	MOVQ DI, ret+32(FP)
	RET

escapes:
	// Of a run of backslashes every other one escapes. From each one that begins
	// a run, the subtraction borrows its way through the bits of 1010…, which it
	// turns over up to the first byte behind the run.
	ANDNL BX, R8, R9       // backslashes, but for one that is escaped itself
	LEAL  (R9)(R9*1), R10
	ORL   $0xAAAAAAAA, R10
	SUBL  R9, R10
	XORL  $0xAAAAAAAA, R10 // those that escape, and those that are escaped
	ORL   BX, R8
	MOVL  R10, R11
	XORL  R8, R11          // escaped
	ANDL  BX, R10          // escaping
	MOVL  R10, R8
	SHRL  $31, R8

	VPSHUFB   Y7, Y4, Y8   // 0 for a byte above 0x7f
	VPSRLW    $4, Y7, Y9
	VPAND     Y3, Y9, Y9
	VPSHUFB   Y9, Y5, Y9
	VPAND     Y8, Y9, Y8
	VPCMPEQB  Y6, Y8, Y8
	VPMOVMSKB Y8, R12
	ANDL      R11, R12     // escaped, and not usual
	ANDNL     AX, R11, AX  // quotes and control characters that are not escaped
	ORL       R12, AX
	JZ        next

	// What stops it may be an escaped byte: then it is the backslash that is told.
	TZCNTL AX, AX
	XORL   R8, R8
	BTL    AX, R12
	ADCL   $0, R8
	ADDQ   AX, DI
	JMP    end

stop:
	TZCNTL AX, AX
	ADDQ   AX, DI
	JMP    end

// func canBlocks() bool
//
// Intel's manual, volume 1, 14.7.1: besides the processor, the system must keep the
// wide registers. BMI1 has ANDN and TZCNT.
TEXT ·canBlocks(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	XORL AX, AX
	CPUID
	CMPL AX, $7
	JLT  no
	MOVL $1, AX
	XORL CX, CX
	CPUID
	ANDL $0x18000000, CX   // OSXSAVE, AVX
	CMPL CX, $0x18000000
	JNE  no
	XORL CX, CX
	XGETBV
	ANDL $6, AX
	CMPL AX, $6
	JNE  no
	MOVL $7, AX
	XORL CX, CX
	CPUID
	ANDL $0x28, BX         // BMI1, AVX2
	CMPL BX, $0x28
	JNE  no
	MOVB $1, ret+0(FP)

no:
	RET

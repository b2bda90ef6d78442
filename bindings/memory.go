package bindings

import (
	"encoding/json"
	"fmt"
)

// Align is the alignment of every allocation in bytes, on every device.
const Align = 256

// Padded is the number of bytes that an allocation takes.
func Padded(n int64) int64 { return (n + Align - 1) / Align * Align }

// Memory is the arenas of one device. It knows offsets and no addresses: the
// same code, with the same calls, makes the plan and lays out the run.
type Memory struct {
	arenas [NumSpaces]arena
	serial int32
}

type arena struct {
	live  []Tensor // what is allocated now, oldest first
	top   int64
	peak  int64
	limit int64
}

// Plan is the exact number of bytes of each arena.
type Plan [NumSpaces]int64

// Mark is a position on the activation stack.
type Mark struct{ index int }

// NewMemory makes empty arenas that are still planning.
func NewMemory() *Memory {
	m := &Memory{}
	for s := range m.arenas {
		m.arenas[s].limit = -1
	}
	return m
}

// NewBoundedMemory makes empty arenas of the planned sizes: allocating past
// them panics, for then the plan was wrong, which is a fault of the program.
func NewBoundedMemory(p Plan) *Memory {
	m := &Memory{}
	for s := range m.arenas {
		m.arenas[s].limit = p[s]
	}
	return m
}

// Alloc takes the next bytes of an arena.
func (m *Memory) Alloc(s Space, dtype DType, dims ...int) Tensor {
	a := &m.arenas[s]
	m.serial++
	t := Tensor{DType: dtype, Shape: ShapeOf(dims...)}
	t.Slot = Slot{Space: s, Index: int32(len(a.live)), Serial: m.serial, Offset: a.top, Bytes: t.Bytes()}
	a.live = append(a.live, t)
	a.top += Padded(t.Slot.Bytes)
	a.peak = max(a.peak, a.top)
	if a.limit >= 0 && a.top > a.limit {
		panic(fmt.Sprintf("bindings: %s: %d bytes planned, %d asked for", s, a.limit, a.top))
	}
	return t
}

// Act allocates on the activation stack.
func (m *Memory) Act(dtype DType, dims ...int) Tensor { return m.Alloc(Activations, dtype, dims...) }

// Mark remembers the top of the activation stack.
func (m *Memory) Mark() Mark { return Mark{len(m.arenas[Activations].live)} }

// Release frees every activation allocated since the mark.
func (m *Memory) Release(k Mark) {
	a := &m.arenas[Activations]
	if k.index < len(a.live) {
		a.top = a.live[k.index].Slot.Offset
		a.live = a.live[:k.index]
	}
}

// Root is the whole allocation a tensor is a part of. It panics on a tensor
// that was released, which is a fault of the program.
func (m *Memory) Root(s Slot) Tensor {
	a := &m.arenas[s.Space]
	if int(s.Index) >= len(a.live) || a.live[s.Index].Slot.Serial != s.Serial {
		panic(fmt.Sprintf("bindings: tensor used after its release (%s+%d, %d bytes)", s.Space, s.Offset, s.Bytes))
	}
	return a.live[s.Index]
}

// Peak is the plan once the programs were read, and the bytes used once they
// were run.
func (m *Memory) Peak() (p Plan) {
	for s := range p {
		p[s] = m.arenas[s].peak
	}
	return p
}

// InUse is the number of bytes allocated now.
func (m *Memory) InUse(s Space) int64 { return m.arenas[s].top }

// Live lists what is allocated now in one arena, oldest first.
func (m *Memory) Live(s Space) []Tensor { return append([]Tensor(nil), m.arenas[s].live...) }

// Total is the sum over the arenas.
func (p Plan) Total() (n int64) {
	for _, b := range p {
		n += b
	}
	return n
}

func (p Plan) String() string {
	return fmt.Sprintf("frozen %d, trainable %d, staging %d, activations %d, workspace %d, total %d",
		p[Frozen], p[Trainable], p[Staging], p[Activations], p[Workspace], p.Total())
}

// MarshalJSON names each arena.
func (p Plan) MarshalJSON() ([]byte, error) {
	named := map[string]int64{}
	for s, bytes := range p {
		named[Space(s).String()] = bytes
	}
	return json.Marshal(named)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (p *Plan) UnmarshalJSON(text []byte) error {
	var named map[string]int64
	if err := json.Unmarshal(text, &named); err != nil {
		return err
	}
	for s := range p {
		p[s] = named[Space(s).String()]
	}
	return nil
}

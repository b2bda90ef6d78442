package train

import (
	"encoding/json"
	"time"

	"github.com/graftlm/graft/bindings"
	"github.com/graftlm/graft/go/finite"
)

// Event is told after each step, and after each evaluation.
type Event struct {
	Step         int                `json:"step"` // steps done
	Epoch        float64            `json:"epoch"`
	Loss         float64            `json:"loss"`
	GradNorm     float64            `json:"grad_norm"`
	LR           float64            `json:"lr"`
	Tokens       int                `json:"tokens"`        // of the step, real ones
	TargetTokens int                `json:"target_tokens"` //
	TokensPerSec float64            `json:"tokens_per_second"`
	Seconds      float64            `json:"seconds"` // of the step
	Skipped      bool               `json:"skipped"`
	EvalLoss     *float64           `json:"eval_loss,omitempty"`
	EvalAccuracy *float64           `json:"eval_accuracy,omitempty"`
	EvalMeasures map[string]float64 `json:"eval_measures,omitempty"` // the method's own

	TotalSteps    int           `json:"-"`
	Left          time.Duration `json:"-"` // estimate
	Planned, Used int64         `json:"-"` // bytes of memory; used so far, of those planned
	Message       string        `json:"-"` // a warning or a note instead of numbers
}

// event and eventJSON are an Event whose numbers may be none.
type event Event

type eventJSON struct {
	event
	Loss         finite.Number            `json:"loss"`
	GradNorm     finite.Number            `json:"grad_norm"`
	EvalLoss     *finite.Number           `json:"eval_loss,omitempty"`
	EvalAccuracy *finite.Number           `json:"eval_accuracy,omitempty"`
	EvalMeasures map[string]finite.Number `json:"eval_measures,omitempty"`
}

// MarshalJSON writes null for a number that is not finite.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(eventJSON{event(e), finite.Number(e.Loss), finite.Number(e.GradNorm), (*finite.Number)(e.EvalLoss), (*finite.Number)(e.EvalAccuracy), finite.Map(e.EvalMeasures)})
}

// UnmarshalJSON reads what MarshalJSON wrote; an evaluation loss of null is none.
func (e *Event) UnmarshalJSON(text []byte) error {
	var x eventJSON
	if err := json.Unmarshal(text, &x); err != nil {
		return err
	}
	*e = Event(x.event)
	e.Loss, e.GradNorm = float64(x.Loss), float64(x.GradNorm)
	e.EvalLoss, e.EvalAccuracy = (*float64)(x.EvalLoss), (*float64)(x.EvalAccuracy)
	for k, v := range x.EvalMeasures {
		if e.EvalMeasures == nil {
			e.EvalMeasures = map[string]float64{}
		}
		e.EvalMeasures[k] = float64(v)
	}
	return nil
}

// Result is what a finished run has to say, of all of its starts.
type Result struct {
	Steps        int           `json:"steps"`
	Loss         float64       `json:"loss"` // of the last step
	EvalBefore   *float64      `json:"eval_loss_before,omitempty"`
	EvalAfter    *float64      `json:"eval_loss_after,omitempty"`
	BestStep     int           `json:"best_step,omitempty"`  // of the lowest evaluation loss
	Evaluation   any           `json:"evaluation,omitempty"` // the last one, by the method's own measures
	Tokens       int           `json:"tokens"`
	Seconds      float64       `json:"seconds"`
	TokensPerSec float64       `json:"tokens_per_second"`
	Skipped      int           `json:"skipped"`
	Planned      bindings.Plan `json:"planned_bytes"`
	Used         bindings.Plan `json:"used_bytes"` // less than planned only where a run ended before its largest micro-batch
	Output       string        `json:"output"`     // the adapter or model directory
}

type result Result

// resultJSON has the fields of a Result in their order, those that may be none
// as what JSON can carry.
type resultJSON struct {
	Steps      int             `json:"steps"`
	Loss       finite.Number   `json:"loss"`
	EvalBefore *finite.Number  `json:"eval_loss_before,omitempty"`
	EvalAfter  *finite.Number  `json:"eval_loss_after,omitempty"`
	BestStep   int             `json:"best_step,omitempty"`
	Evaluation json.RawMessage `json:"evaluation,omitempty"`
	result
}

// MarshalJSON writes null for a number that is not finite.
func (r Result) MarshalJSON() (text []byte, err error) {
	x := resultJSON{
		Steps: r.Steps, Loss: finite.Number(r.Loss), EvalBefore: (*finite.Number)(r.EvalBefore), EvalAfter: (*finite.Number)(r.EvalAfter),
		BestStep: r.BestStep, result: result(r),
	}
	if r.Evaluation != nil {
		if x.Evaluation, err = json.Marshal(r.Evaluation); err != nil {
			return nil, err
		}
	}
	return json.Marshal(x)
}

// UnmarshalJSON reads what MarshalJSON wrote; an evaluation stays JSON.
func (r *Result) UnmarshalJSON(text []byte) error {
	var x resultJSON
	if err := json.Unmarshal(text, &x); err != nil {
		return err
	}
	*r = Result(x.result)
	r.Steps, r.Loss, r.BestStep = x.Steps, float64(x.Loss), x.BestStep
	r.EvalBefore, r.EvalAfter = (*float64)(x.EvalBefore), (*float64)(x.EvalAfter)
	if x.Evaluation != nil {
		r.Evaluation = x.Evaluation
	}
	return nil
}

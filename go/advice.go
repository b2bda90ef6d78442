package graft

import (
	"fmt"
	"slices"

	"github.com/graftlm/graft/go/report"
)

// Advice says which of the alternatives to choose, and why, from their numbers
// alone. records is the size of the training data, 0 if it is not known.
func Advice(all []Alternative, limit int64, records int) string {
	find := func(name string) *Alternative {
		if i := slices.IndexFunc(all, func(a Alternative) bool { return a.Method == name }); i >= 0 {
			return &all[i]
		}
		return nil
	}
	fits := func(a *Alternative) bool { return a != nil && (limit <= 0 || a.Total <= limit) }
	full, lora, qlora := find("full"), find("lora"), find("qlora")
	switch {
	case fits(full) && records >= 50_000:
		return fmt.Sprintf("full: it fits in %s, and %d records are enough to move every weight; lora needs %.0f %% of the memory if that matters more", report.Size(full.Total), records, 100*ratio(lora, full))
	case fits(lora):
		why := "it learns nearly what full fine-tuning does and writes a small file"
		if full != nil && limit > 0 && full.Total > limit {
			why = fmt.Sprintf("full would need %s, which is more than there is", report.Size(full.Total))
		} else if records > 0 {
			why = fmt.Sprintf("%d records are few enough that training every weight would mostly overfit", records)
		}
		return fmt.Sprintf("lora: it fits in %s; %s", report.Size(lora.Total), why)
	case fits(qlora):
		return fmt.Sprintf("qlora: it fits in %s; the base in 16 bits does not", report.Size(qlora.Total))
	}
	for i := range all {
		if fits(&all[i]) {
			return fmt.Sprintf("%s: of the methods compared it is the one that fits, in %s", all[i].Method, report.Size(all[i].Total))
		}
	}
	if len(all) == 0 {
		return "nothing was compared"
	}
	least := slices.MinFunc(all, func(a, b Alternative) int { return int(min(max(a.Total-b.Total, -1), 1)) })
	return fmt.Sprintf("none fits: the smallest, %s, needs %s; a smaller micro-batch, memory.checkpointing: auto or a smaller base needs less", least.Method, report.Size(least.Total))
}

func ratio(a, b *Alternative) float64 {
	if a == nil || b == nil {
		return 1
	}
	return float64(a.Total) / float64(b.Total)
}

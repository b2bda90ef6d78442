package data_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/graftlm/graft/go/data"
)

func Example() {
	file := strings.NewReader(`{"prompt": "2 + 2 =", "completion": " 4"}` + "\n" + `{"text": "Numbers add up."}`)
	rows, report, err := data.Load(context.Background(), data.Options{
		Sources: []data.Source{{Path: "-"}}, Stdin: file,
		Encoder: data.Encoder{Tokenizer: bytesTokenizer{special}, EOS: "</s>"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Rows, "rows,", report.Targets, "trained tokens")
	row, _ := rows.Row(0)
	shown, _ := data.Show(row, decode)
	fmt.Println(shown.Plain())
	loader, _ := data.NewLoader(rows, data.LoaderOptions{MicroBatchSize: 2, Accumulation: 1, Epochs: 3})
	step, _ := loader.Step(0)
	fmt.Println(loader.Steps(), "steps of", step[0].Tokens, "tokens in a bucket of", len(step[0].IDs))
	// Output:
	// 2 rows, 19 trained tokens
	// <s>2 + 2 =⟦ 4</s>⟧
	// 3 steps of 28 tokens in a bucket of 34
}

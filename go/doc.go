// Package graft is the door for other Go programs: everything the command line
// does is a call here.
//
//	cfg, err := config.Load("run.yaml", nil)
//	run, err := graft.Prepare(ctx, cfg, graft.Options{})
//	defer run.Close()
//	fmt.Println(run.Plan.Bytes.Total())
//	result, err := run.Train(ctx, false, func(e train.Event) { fmt.Println(e.Step, e.Loss) })
//
// Errors are of the kinds of package failure; a cancelled context ends a run
// with a checkpoint and failure.ErrPreempted.
package graft

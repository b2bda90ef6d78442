package main

import (
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/graftlm/graft/go/device"
)

func devicesCommand() *cli.Command {
	return &cli.Command{
		Name: "devices", Usage: "list devices, and why one is missing",
		Description: "graft devices\n" +
			"graft devices --ops    which operations each has\n" +
			"graft devices --json",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "ops", Usage: "list the operations of each native device"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			all := device.List()
			switch {
			case c.Bool("json"):
				return printJSON(all)
			case c.Bool("ops"):
				return printOperations(all)
			}
			w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
			for _, d := range all {
				if d.Missing != "" {
					fmt.Fprintf(w, "%s\tnot available: %s\n", d.Name, d.Missing)
					continue
				}
				fmt.Fprintf(w, "%s\t%s\n", d.Name, d.Info)
				if x := d.Description; x != nil && len(x.Operations) > 0 {
					fmt.Fprintf(w, "\t%s free of %s, %d operations\n", size(x.MemoryFree), size(x.MemoryTotal), len(x.Operations))
				}
			}
			return w.Flush()
		},
	}
}

// printOperations prints a line for each operation and a column for each device
// with a function table.
func printOperations(all []device.Entry) error {
	all = slices.DeleteFunc(all, func(d device.Entry) bool { return d.Description == nil || len(d.Description.Operations) == 0 })
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	var names []string
	fmt.Fprint(w, "operation")
	for _, d := range all {
		fmt.Fprintf(w, "\t%s", d.Name)
		for _, name := range d.Description.Operations {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	fmt.Fprintln(w)
	for _, name := range names {
		fmt.Fprint(w, name)
		for _, d := range all {
			has := "-"
			if slices.Contains(d.Description.Operations, name) {
				has = "yes"
			}
			fmt.Fprintf(w, "\t%s", has)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

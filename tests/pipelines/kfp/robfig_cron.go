// What robfig/cron 1.2.0 makes of the expressions on standard input, one a line, as JSON:
// whether it takes each, and the next times after three moments in two zones.
//
//	go mod init table && go get github.com/robfig/cron@v1.2.0 && go run . < expressions
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/robfig/cron"
)

type row struct {
	Cron  string     `json:"cron"`
	Takes bool       `json:"takes"`
	Next  [][]string `json:"next,omitempty"`
}

func main() {
	starts := []string{"2026-03-28T12:00:00", "2026-10-24T12:00:00", "2027-12-31T23:59:59"}
	var rows []row
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		schedule, err := cron.Parse(lines.Text())
		one := row{Cron: lines.Text(), Takes: err == nil}
		for _, name := range []string{"UTC", "Europe/Berlin"} {
			if err != nil {
				continue
			}
			zone, _ := time.LoadLocation(name)
			for _, start := range starts {
				moment, _ := time.ParseInLocation("2006-01-02T15:04:05", start, zone)
				times := []string{}
				for len(times) < 2 {
					moment = schedule.Next(moment)
					if moment.IsZero() {
						break
					}
					times = append(times, moment.Format(time.RFC3339))
				}
				one.Next = append(one.Next, times)
			}
		}
		rows = append(rows, one)
	}
	for at, one := range rows {
		text, _ := json.Marshal(one)
		fmt.Printf("%s %s\n", map[bool]string{true: "[", false: ","}[at == 0], text)
	}
	fmt.Println("]")
}

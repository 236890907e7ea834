package e2e

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
)

// sample is the numbers of the server by their whole name.
type sample map[string]float64

// sum adds up every number whose name begins so.
func (s sample) sum(prefix string) float64 {
	total := 0.0
	for name, v := range s {
		if strings.HasPrefix(name, prefix) {
			total += v
		}
	}
	return total
}

func (srv *server) metricsText() string {
	srv.site.t.Helper()
	req, err := http.NewRequestWithContext(srv.site.t.Context(), http.MethodGet, srv.url+"/metrics", http.NoBody)
	if err != nil {
		srv.site.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+annToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		srv.site.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	in := bufio.NewScanner(resp.Body)
	for in.Scan() {
		b.WriteString(in.Text() + "\n")
	}
	if resp.StatusCode != http.StatusOK || in.Err() != nil {
		srv.site.t.Fatalf("/metrics answered %s, %v", resp.Status, in.Err())
	}
	return b.String()
}

func (srv *server) metrics() sample {
	srv.site.t.Helper()
	out := sample{}
	for line := range strings.Lines(srv.metricsText()) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if v, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			out[line[:i]] = v
		}
	}
	return out
}

package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"statuscache/httpapi/client"
)

func main() {
	service, err := client.New(os.Getenv("STATUS_URL"), os.Getenv("STATUS_TOKEN"))
	if err != nil {
		log.Fatal(err)
	}
	execution, err := service.Wait(context.Background(), os.Getenv("ARN"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(execution.Status, string(execution.Output))
}

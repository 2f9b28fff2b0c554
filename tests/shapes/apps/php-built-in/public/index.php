<?php
if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) === '/version') {
    header('Content-Type: application/json');
    echo json_encode(['commit' => file_get_contents('/app/COMMIT')]);
    return;
}
echo '<p>hello from PHP</p>';

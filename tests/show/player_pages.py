"""Opening the player's page in a browser, and using it as a reader does."""


def opened(browser, file, fragment="", width=1280, height=900):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    browser.get(file.as_uri() + fragment)


def text(page, selector):
    return page.find_element("css selector", selector).text


def press(page, key):
    page.find_element("css selector", "body").send_keys(key)


def click(page, selector):
    element = page.find_element("css selector", selector)
    # The controls stay at the bottom, above what lies there.
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def count(page):
    return text(page, "#count")


def until(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20).until(lambda _: condition())
